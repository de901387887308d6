// Rows as columns: any number of rows of a described struct become one array parameter a column, and one
// statement inserts, updates or removes them all. The statements are made from `describe`, so a column
// exists in one place.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/binary.hpp"

namespace fallow::store {

/// The SQL type of a column, and of its element inside an array parameter: a list travels as the text of
/// its array literal, since PostgreSQL has no arrays of arrays of different lengths.
struct ColumnType {
    std::string_view element;
    std::int32_t oid;       ///< of the element type, as pg_type has it in every database
    std::string_view cast;  ///< appended to the element in a SELECT; empty where none is needed
};

template <class T>
struct ColumnTypeOf;
template <>
struct ColumnTypeOf<bool> {
    static constexpr ColumnType value{"boolean", 16, ""};
};
template <>
struct ColumnTypeOf<std::int32_t> {
    static constexpr ColumnType value{"integer", 23, ""};
};
template <>
struct ColumnTypeOf<std::int64_t> {
    static constexpr ColumnType value{"bigint", 20, ""};
};
template <>
struct ColumnTypeOf<Time> : ColumnTypeOf<std::int64_t> {};
template <>
struct ColumnTypeOf<Millis> : ColumnTypeOf<std::int64_t> {};
template <>
struct ColumnTypeOf<ledger::Micros> : ColumnTypeOf<std::int64_t> {};
template <>
struct ColumnTypeOf<ledger::Price> : ColumnTypeOf<std::int64_t> {};
template <>
struct ColumnTypeOf<Int128> {
    static constexpr ColumnType value{"numeric", 1700, ""};
};
template <>
struct ColumnTypeOf<std::string> {
    static constexpr ColumnType value{"text", 25, ""};
};
template <>
struct ColumnTypeOf<Bytes> {
    static constexpr ColumnType value{"bytea", 17, ""};
};
template <NamedEnum E>
struct ColumnTypeOf<E> : ColumnTypeOf<std::string> {};
template <class Tag>
struct ColumnTypeOf<Id<Tag>> {
    static constexpr ColumnType value{"uuid", 2950, ""};
};
template <class Tag>
struct ColumnTypeOf<std::vector<Id<Tag>>> {
    static constexpr ColumnType value{"text", 25, "::uuid[]"};
};
template <>
struct ColumnTypeOf<std::vector<std::string>> {
    static constexpr ColumnType value{"text", 25, "::text[]"};
};
template <class T>
struct ColumnTypeOf<std::optional<T>> : ColumnTypeOf<T> {};

struct Column {
    std::string name;  ///< quoted
    ColumnType type;
    bool is_key = false;
    bool is_derived = false;  ///< moved by the database: read, never written
};

namespace detail {

struct ColumnCollector {
    std::vector<Column> columns;

    template <class T>
    void add(const char* name, const T&, bool is_key, bool is_derived) {
        columns.push_back({'"' + std::string(name) + '"', ColumnTypeOf<T>::value, is_key, is_derived});
    }
    template <class T>
    void key(const char* name, const T& value) {
        add(name, value, true, false);
    }
    template <class T>
    void field(const char* name, const T& value) {
        add(name, value, false, false);
    }
    template <class T>
    void derived(const char* name, const T& value) {
        add(name, value, false, true);
    }
};

}  // namespace detail

/// The columns of a described row, in the order of its description.
template <class Row>
[[nodiscard]] const std::vector<Column>& columns_of() {
    static const std::vector<Column> columns = [] {
        detail::ColumnCollector collector;
        const Row row{};
        Row::describe(row, collector);
        return std::move(collector.columns);
    }();
    return columns;
}

/// `"id", "host_id", …` for a SELECT that RowReader reads.
template <class Row>
[[nodiscard]] const std::string& select_list() {
    static const std::string list = [] {
        std::string text;
        for (const Column& column : columns_of<Row>())
            text += (text.empty() ? "" : ", ") + column.name;
        return text;
    }();
    return list;
}

/// Statements that take one array parameter for each column they name, in the order of the description.
struct RowStatements {
    std::string insert_name, insert_sql;  ///< keys and fields
    std::string update_name, update_sql;  ///< keys and fields
    std::string remove_name, remove_sql;  ///< keys only
};

[[nodiscard]] RowStatements make_row_statements(std::string_view table, const std::vector<Column>& columns);

template <class Row>
[[nodiscard]] const RowStatements& statements_of() {
    static const RowStatements statements = make_row_statements(Row::table, columns_of<Row>());
    return statements;
}

namespace detail {

/// Appends one row to the arrays, one a column.
class RowAppender {
  public:
    RowAppender(std::vector<BinaryArray>& columns, bool keys_only)
        : columns_(columns), keys_only_(keys_only) {}

    template <class T>
    void key(const char*, const T& value) {
        columns_[at_++].add(value);
    }
    template <class T>
    void field(const char*, const T& value) {
        if (!keys_only_) columns_[at_++].add(value);
    }
    template <class T>
    void derived(const char*, const T&) {}

  private:
    std::vector<BinaryArray>& columns_;
    bool keys_only_;
    std::size_t at_ = 0;
};

}  // namespace detail

/// The array parameters of `rows` for the statements above.
template <class Row>
[[nodiscard]] BinaryParameters column_arrays(const std::vector<Row>& rows, bool keys_only = false) {
    constexpr std::size_t octets_per_value = 20;
    std::vector<BinaryArray> columns;
    for (const Column& column : columns_of<Row>()) {
        if (column.is_key || (!keys_only && !column.is_derived))
            columns.emplace_back(column.type.oid, rows.size() * octets_per_value);
    }
    for (const Row& row : rows)
        Row::describe(row, detail::RowAppender(columns, keys_only));
    BinaryParameters parameters;
    parameters.values.reserve(columns.size());
    for (BinaryArray& column : columns)
        parameters.values.push_back(column.take());
    return parameters;
}

}  // namespace fallow::store
