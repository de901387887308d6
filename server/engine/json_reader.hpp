// Reads what json_writer.hpp wrote: rows by their describe(), out of parsed JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/int128.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::engine {

/// A visitor for describe(): sets the columns that the object has and leaves the others as they are,
/// because a server of another version may not know them. Throws std::runtime_error or nlohmann's exception
/// on a value that its column cannot hold, and when the key is not there.
class JsonRowReader {
  public:
    explicit JsonRowReader(const nlohmann::json& object) : object_(object) {}

    template <class T>
    void key(std::string_view name, T& value) {
        read(object_.at(std::string(name)), value);
    }
    template <class T>
    void derived(std::string_view name, T& value) {
        field(name, value);
    }
    template <class T>
    void field(std::string_view name, T& value) {
        if (const auto at = object_.find(name); at != object_.end()) read(*at, value);
    }

  private:
    using Json = nlohmann::json;

    template <class T>
    static T known(std::optional<T> value, const Json& json) {
        if (!value) throw std::runtime_error("a value that its column cannot hold: " + json.dump());
        return *std::move(value);
    }
    template <class Tag>
    static void read(const Json& json, Id<Tag>& value) {
        value = known(Id<Tag>::parse(json.get_ref<const std::string&>()), json);
    }
    static void read(const Json& json, std::string& value) { json.get_to(value); }
    static void read(const Json& json, bool& value) { json.get_to(value); }
    static void read(const Json& json, std::int32_t& value) { json.get_to(value); }
    static void read(const Json& json, std::int64_t& value) { json.get_to(value); }
    static void read(const Json& json, Int128& value) {
        value = known(parse_decimal(json.get_ref<const std::string&>()), json);
    }
    static void read(const Json& json, Time& value) { json.get_to(value.ms); }
    static void read(const Json& json, Millis& value) { json.get_to(value.count); }
    static void read(const Json& json, ledger::Micros& value) { json.get_to(value.count); }
    static void read(const Json& json, ledger::Price& value) { json.get_to(value.micros_per_hour); }
    template <NamedEnum E>
    static void read(const Json& json, E& value) {
        value = known(parse_enum<E>(json.get_ref<const std::string&>()), json);
    }
    template <class T>
    static void read(const Json& json, std::optional<T>& value) {
        value.reset();
        if (!json.is_null()) read(json, value.emplace());
    }
    template <class T>
    static void read(const Json& json, std::vector<T>& values) {
        values.clear();
        for (const Json& element : json)
            read(element, values.emplace_back());
    }

    const Json& object_;
};

}  // namespace fallow::engine
