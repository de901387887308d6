// Reads a JSON request body into values, one line a field. The first thing that is wrong is kept with its
// RFC 6901 pointer and a remedy; everything read after it is a default, and finish() tells. A field that
// nobody asked for is an error too, so that a misspelt option is never silently ignored.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::api {

inline constexpr std::size_t json_depth_max = 16;

/// How long a text may be and whether it may be empty; no text ever holds NUL or another control character,
/// unless `is_multiline` allows line ends and tabs.
struct TextRule {
    std::size_t bytes_max = 100;
    bool may_be_empty = false;
    bool is_multiline = false;
};

class FieldReader {
  public:
    /// Parses a whole body, which must be one object; an empty body reads as {}. bad_json when it is not
    /// JSON, is not UTF-8, repeats a name in one object or is nested deeper than json_depth_max.
    [[nodiscard]] static Result<FieldReader> parse(std::string_view body);

    ~FieldReader();
    FieldReader(FieldReader&&) noexcept;
    FieldReader& operator=(FieldReader&&) noexcept;

    /// True when the field is there and not null.
    [[nodiscard]] bool has(std::string_view name);

    [[nodiscard]] std::string text(std::string_view name, TextRule rule = {});
    [[nodiscard]] std::optional<std::string> optional_text(std::string_view name, TextRule rule = {});
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t min, std::int64_t max);
    [[nodiscard]] std::int64_t integer_or(std::string_view name, std::int64_t otherwise, std::int64_t min,
                                          std::int64_t max);
    [[nodiscard]] std::optional<std::int64_t> optional_integer(std::string_view name, std::int64_t min,
                                                               std::int64_t max);
    /// An integer that fits in 32 bits, since its bounds do.
    [[nodiscard]] std::int32_t integer32(std::string_view name, std::int32_t min, std::int32_t max);
    [[nodiscard]] std::int32_t integer32_or(std::string_view name, std::int32_t otherwise, std::int32_t min,
                                            std::int32_t max);
    [[nodiscard]] bool boolean(std::string_view name);
    [[nodiscard]] bool boolean_or(std::string_view name, bool otherwise);
    [[nodiscard]] std::optional<Time> optional_time(std::string_view name);
    [[nodiscard]] Time time(std::string_view name);
    /// Exactly two upper-case letters: ISO 3166-1 alpha-2 in form.
    [[nodiscard]] std::string country(std::string_view name);
    /// Standard base64 of exactly `bytes` bytes; the text is returned, not the bytes.
    [[nodiscard]] std::string base64(std::string_view name, std::size_t bytes);
    /// Base64 of at most `bytes_max` bytes, decoded.
    [[nodiscard]] std::string base64_bytes(std::string_view name, std::size_t bytes_max);

    /// An absent list is an empty one, unless `items_min` is above 0.
    [[nodiscard]] std::vector<std::string> texts(std::string_view name, std::size_t items_max,
                                                 TextRule rule, std::size_t items_min = 0);
    /// Nothing when absent; an empty list is one.
    [[nodiscard]] std::optional<std::vector<std::int64_t>> optional_integers(std::string_view name,
                                                                             std::size_t items_max,
                                                                             std::int64_t min,
                                                                             std::int64_t max);
    /// The members of an object of texts, in the order of their names. Absent: empty.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> text_map(std::string_view name,
                                                                            std::size_t items_max,
                                                                            TextRule rule);

    template <class AnyId>
    [[nodiscard]] AnyId id(std::string_view name) {
        return parse_id_text<AnyId>(name, text(name)).value_or(AnyId{});
    }
    template <class AnyId>
    [[nodiscard]] std::optional<AnyId> optional_id(std::string_view name) {
        const auto found = optional_text(name);
        return found ? parse_id_text<AnyId>(name, *found) : std::nullopt;
    }
    template <class AnyId>
    [[nodiscard]] std::vector<AnyId> ids(std::string_view name, std::size_t items_min,
                                         std::size_t items_max) {
        std::vector<AnyId> found;
        const auto items = texts(name, items_max, {}, items_min);
        for (std::size_t i = 0; i < items.size(); ++i)
            found.push_back(parse_id_text<AnyId>(item_name(name, i), items[i]).value_or(AnyId{}));
        return found;
    }
    template <NamedEnum E>
    [[nodiscard]] E named(std::string_view name) {
        return parse_named<E>(name, text(name)).value_or(E{});
    }
    template <NamedEnum E>
    [[nodiscard]] E named_or(std::string_view name, E otherwise) {
        const auto found = optional_text(name);
        return found ? parse_named<E>(name, *found).value_or(otherwise) : otherwise;
    }
    template <NamedEnum E>
    [[nodiscard]] std::optional<E> optional_named(std::string_view name) {
        const auto found = optional_text(name);
        return found ? parse_named<E>(name, *found) : std::nullopt;
    }

    /// The reader of a field that holds an object; its errors are this reader's. Nothing when absent.
    [[nodiscard]] std::optional<FieldReader> optional_object(std::string_view name);
    [[nodiscard]] FieldReader object(std::string_view name);
    /// An absent list is an empty one, unless it is `needed`.
    [[nodiscard]] std::vector<FieldReader> objects(std::string_view name, std::size_t items_max,
                                                   bool needed = false);

    /// Records an error at a field ("" for the object itself), unless there is one already.
    void fail(ErrorCode code, std::string_view name, std::string detail);
    [[nodiscard]] bool has_failed() const;
    /// The first error of this object and of those below it that were finished.
    [[nodiscard]] Status finish();

  private:
    struct Shared;
    FieldReader(std::shared_ptr<Shared> shared, const nlohmann::json* object, std::string pointer);

    const nlohmann::json* find(std::string_view name);
    const nlohmann::json* need(std::string_view name);
    bool check_text(const nlohmann::json& value, std::string_view name, const TextRule& rule);
    bool check_integer(const nlohmann::json& value, std::string_view name, std::int64_t min,
                       std::int64_t max);
    static std::string item_name(std::string_view name, std::size_t index);
    void check_known();

    template <class AnyId>
    std::optional<AnyId> parse_id_text(std::string_view name, const std::string& given) {
        const auto parsed = AnyId::parse(given);
        if (!parsed && !has_failed()) fail_id(name, AnyId::prefix);
        return parsed;
    }
    template <NamedEnum E>
    std::optional<E> parse_named(std::string_view name, const std::string& given) {
        const auto parsed = parse_enum<E>(given);
        if (!parsed && !has_failed()) fail_named(name, all_names<E>());
        return parsed;
    }
    void fail_id(std::string_view name, std::string_view prefix);
    void fail_named(std::string_view name, std::string_view allowed);

    std::shared_ptr<Shared> shared_;
    const nlohmann::json* object_;
    std::string pointer_;
    std::set<std::string, std::less<>> asked_;
};

/// Runs `read` over a whole body: parse, read, finish. What most decoders are.
template <class Read>
[[nodiscard]] auto decode_body(std::string_view body, Read&& read)
    -> Result<decltype(read(std::declval<FieldReader&>()))> {
    auto reader = FieldReader::parse(body);
    if (!reader) return reader.error();
    auto value = read(*reader);
    if (const Status status = reader->finish(); !status) return status.error();
    return value;
}

}  // namespace fallow::api
