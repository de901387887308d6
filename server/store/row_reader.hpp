// Reads rows of a SELECT over select_list<Row>() into described structs.
#pragma once

#include <charconv>
#include <pqxx/pqxx>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "store/column_batch.hpp"

namespace fallow::store {

namespace detail {

/// A column has a value that its field cannot hold: the schema and the code disagree, which an operator
/// must see.
[[noreturn]] void unreadable(const char* column, std::string_view text);

template <class Integer>
void read_digits(const char* column, std::string_view text, Integer& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size()) unreadable(column, text);
}

inline void read_value(const char* column, std::string_view text, std::int32_t& out) {
    read_digits(column, text, out);
}
inline void read_value(const char* column, std::string_view text, std::int64_t& out) {
    read_digits(column, text, out);
}
inline void read_value(const char* column, std::string_view text, Time& out) {
    read_digits(column, text, out.ms);
}
inline void read_value(const char* column, std::string_view text, Millis& out) {
    read_digits(column, text, out.count);
}
inline void read_value(const char* column, std::string_view text, ledger::Micros& out) {
    read_digits(column, text, out.count);
}
inline void read_value(const char* column, std::string_view text, ledger::Price& out) {
    read_digits(column, text, out.micros_per_hour);
}
inline void read_value(const char*, std::string_view text, bool& out) {
    out = text == "t";
}
inline void read_value(const char*, std::string_view text, std::string& out) {
    out.assign(text);
}
void read_value(const char* column, std::string_view text, Int128& out);
void read_value(const char* column, std::string_view text, RawId& out);
void read_value(const char* column, std::string_view text, Bytes& out);
template <NamedEnum E>
void read_value(const char* column, std::string_view text, E& out) {
    const auto value = parse_enum<E>(text);
    if (!value) unreadable(column, text);
    out = *value;
}
template <class Tag>
void read_value(const char* column, std::string_view text, Id<Tag>& out) {
    read_value(column, text, out.raw);
}
template <class T>
void read_value(const char* column, std::string_view text, std::vector<T>& out) {
    out.clear();
    for (const std::string& element : parse_array(text))
        read_value(column, element, out.emplace_back());
}

class FieldVisitor {
  public:
    FieldVisitor(const pqxx::row& row, int first) : row_(row), at_(first) {}
    template <class T>
    void key(const char* name, T& value) {
        read(name, value);
    }
    template <class T>
    void field(const char* name, T& value) {
        read(name, value);
    }
    template <class T>
    void derived(const char* name, T& value) {
        read(name, value);
    }

  private:
    template <class T>
    void read(const char* name, T& value) {
        const pqxx::field cell = row_[at_++];
        if (cell.is_null()) unreadable(name, "NULL");
        read_value(name, std::string_view(cell.c_str(), cell.size()), value);
    }
    template <class T>
    void read(const char* name, std::optional<T>& value) {
        const pqxx::field cell = row_[at_++];
        value.reset();
        if (!cell.is_null()) read_value(name, std::string_view(cell.c_str(), cell.size()), value.emplace());
    }

    const pqxx::row& row_;
    int at_;
};

}  // namespace detail

/// One value of a result.
template <class T>
[[nodiscard]] T read_cell(const pqxx::field& cell) {
    T value{};
    if (cell.is_null()) detail::unreadable(cell.name(), "NULL");
    detail::read_value(cell.name(), std::string_view(cell.c_str(), cell.size()), value);
    return value;
}

template <class T>
[[nodiscard]] std::optional<T> read_optional_cell(const pqxx::field& cell) {
    return cell.is_null() ? std::nullopt : std::optional<T>(read_cell<T>(cell));
}

/// The columns of `row` from `first` on are select_list<Row>().
template <class Row>
[[nodiscard]] Row read_row(const pqxx::row& row, int first = 0) {
    Row value;
    Row::describe(value, detail::FieldVisitor(row, first));
    return value;
}

template <class Row>
[[nodiscard]] std::vector<Row> read_all(const pqxx::result& result) {
    std::vector<Row> rows;
    rows.reserve(result.size());
    for (const auto& row : result)
        rows.push_back(read_row<Row>(row));
    return rows;
}

}  // namespace fallow::store
