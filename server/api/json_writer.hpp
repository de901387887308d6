// Writes JSON text by appending to one string. For replies, thousands of which are made a second; reading
// JSON is field_decode.hpp's work.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::api {

class JsonWriter {
  public:
    explicit JsonWriter(std::size_t reserve = 512) { out_.reserve(reserve); }

    JsonWriter& begin_object() { return open('{'); }
    JsonWriter& end_object() { return close('}'); }
    JsonWriter& begin_array() { return open('['); }
    JsonWriter& end_array() { return close(']'); }
    /// A member's name; its value, object or array comes next.
    JsonWriter& key(std::string_view name);

    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
    JsonWriter& value(bool flag) { return raw(flag ? "true" : "false"); }
    template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>) JsonWriter& value(T number) {
        return raw(std::to_string(number));
    }
    JsonWriter& value(Time time) { return value(to_rfc3339(time)); }
    JsonWriter& value(Millis span) { return value(span.count); }
    JsonWriter& value(ledger::Micros amount) { return value(amount.count); }
    JsonWriter& value(ledger::Price price) { return value(price.micros_per_hour); }
    template <class Tag>
    JsonWriter& value(const Id<Tag>& id) {
        return value(id.text());
    }
    template <NamedEnum E>
    JsonWriter& value(E named) {
        return value(name_of(named));
    }
    template <class T>
    JsonWriter& value(const std::optional<T>& maybe) {
        return maybe ? value(*maybe) : null();
    }
    template <class T>
    JsonWriter& value(const std::vector<T>& items) {
        begin_array();
        for (const T& item : items)
            value(item);
        return end_array();
    }
    JsonWriter& null() { return raw("null"); }
    /// Text that is a JSON value already.
    JsonWriter& raw(std::string_view json);
    /// The members of a JSON object that is text already, taken into the object being written.
    JsonWriter& members_of(std::string_view object);

    template <class T>
    JsonWriter& field(std::string_view name, const T& content) {
        key(name);
        return value(content);
    }

    [[nodiscard]] const std::string& text() const { return out_; }
    [[nodiscard]] std::string take() { return std::move(out_); }

  private:
    JsonWriter& open(char bracket);
    JsonWriter& close(char bracket);
    /// A comma, unless this is the first thing in its object or array, or follows its key.
    void separate();

    std::string out_;
};

}  // namespace fallow::api
