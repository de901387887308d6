// Writes rows as JSON text by their describe(); used for the journal, where speed matters and no parsing
// does.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/int128.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::engine {

void append_json_string(std::string& out, std::string_view text);

enum class JsonColumns {
    all,
    derived,  ///< the key, and what the database derives
};

/// A visitor for describe(): appends {"column":value,…} to `out`. Ids in their typed text form, times as
/// milliseconds, 128-bit integers as strings.
class JsonRowWriter {
  public:
    explicit JsonRowWriter(std::string& out, JsonColumns columns = JsonColumns::all)
        : out_(out), columns_(columns) {
        out_.push_back('{');
    }
    void close() { out_.push_back('}'); }

    template <class T>
    void key(std::string_view name, const T& value) {
        append(name, value);
    }
    template <class T>
    void derived(std::string_view name, const T& value) {
        append(name, value);
    }
    template <class T>
    void field(std::string_view name, const T& value) {
        if (columns_ == JsonColumns::all) append(name, value);
    }

  private:
    template <class T>
    void append(std::string_view name, const T& value) {
        if (out_.back() != '{') out_.push_back(',');
        append_json_string(out_, name);
        out_.push_back(':');
        write(value);
    }

    template <class Tag>
    void write(const Id<Tag>& value) {
        append_json_string(out_, value.text());
    }
    void write(const std::string& value) { append_json_string(out_, value); }
    void write(bool value) { out_ += value ? "true" : "false"; }
    void write(std::int32_t value) { out_ += std::to_string(value); }
    void write(std::int64_t value) { out_ += std::to_string(value); }
    void write(Int128 value) { append_json_string(out_, to_decimal(value)); }
    void write(Time value) { write(value.ms); }
    void write(Millis value) { write(value.count); }
    void write(ledger::Micros value) { write(value.count); }
    void write(ledger::Price value) { write(value.micros_per_hour); }
    template <NamedEnum E>
    void write(E value) {
        append_json_string(out_, name_of(value));
    }
    template <class T>
    void write(const std::optional<T>& value) {
        if (value)
            write(*value);
        else
            out_ += "null";
    }
    template <class T>
    void write(const std::vector<T>& values) {
        out_.push_back('[');
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (i != 0) out_.push_back(',');
            write(values[i]);
        }
        out_.push_back(']');
    }

    std::string& out_;
    JsonColumns columns_;
};

}  // namespace fallow::engine
