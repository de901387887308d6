// Rows as text, field by field as their describe() names them: for comparing whole states and for messages.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/int128.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::testing {

class RowText {
  public:
    template <class T>
    void key(std::string_view name, const T& value) {
        field(name, value);
    }
    template <class T>
    void derived(std::string_view name, const T& value) {
        field(name, value);
    }
    template <class T>
    void field(std::string_view name, const T& value) {
        text_ += std::string(name) + '=' + text_of(value) + ' ';
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

  private:
    template <class Tag>
    static std::string text_of(const Id<Tag>& value) {
        return value.text();
    }
    static std::string text_of(const std::string& value) { return '"' + value + '"'; }
    static std::string text_of(bool value) { return value ? "true" : "false"; }
    static std::string text_of(std::int32_t value) { return std::to_string(value); }
    static std::string text_of(std::int64_t value) { return std::to_string(value); }
    static std::string text_of(Int128 value) { return to_decimal(value); }
    static std::string text_of(Time value) { return std::to_string(value.ms); }
    static std::string text_of(Millis value) { return std::to_string(value.count); }
    static std::string text_of(ledger::Micros value) { return std::to_string(value.count); }
    static std::string text_of(ledger::Price value) { return std::to_string(value.micros_per_hour); }
    template <NamedEnum E>
    static std::string text_of(E value) {
        return std::string(name_of(value));
    }
    template <class T>
    static std::string text_of(const std::optional<T>& value) {
        return value ? text_of(*value) : "null";
    }
    template <class T>
    static std::string text_of(const std::vector<T>& values) {
        std::string text = "[";
        for (const T& value : values)
            text += text_of(value) + ',';
        return text + ']';
    }

    std::string text_;
};

template <class Row>
[[nodiscard]] std::string row_text(const Row& row) {
    RowText text;
    Row::describe(row, text);
    return text.take();
}

}  // namespace fallow::testing
