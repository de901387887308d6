#include "store/column_batch.hpp"

namespace fallow::store {
namespace {

/// `unnest($1::uuid[], …) AS input("id", …)` over the columns that `wanted` accepts.
template <class Wanted>
std::string unnest_of(const std::vector<Column>& columns, Wanted&& wanted) {
    std::string arrays;
    std::string names;
    int number = 0;
    for (const Column& column : columns) {
        if (!wanted(column)) continue;
        if (number > 0) {
            arrays += ", ";
            names += ", ";
        }
        arrays += "$" + std::to_string(++number) + "::" + std::string(column.type.element) + "[]";
        names += column.name;
    }
    return "unnest(" + arrays + ") AS input(" + names + ")";
}

void append_list(std::string& list, std::string_view separator, const std::string& item) {
    if (!list.empty()) list += separator;
    list += item;
}

}  // namespace

RowStatements make_row_statements(std::string_view table, const std::vector<Column>& columns) {
    const std::string quoted = '"' + std::string(table) + '"';
    const auto is_written = [](const Column& column) { return !column.is_derived; };
    const auto is_key = [](const Column& column) { return column.is_key; };
    std::string names;
    std::string values;
    std::string assignments;
    std::string match;
    for (const Column& column : columns) {
        if (!is_written(column)) continue;
        const std::string input = "input." + column.name;
        const std::string value = input + std::string(column.type.cast);
        append_list(names, ", ", column.name);
        append_list(values, ", ", value);
        if (column.is_key) {
            append_list(match, " AND ", quoted + "." + column.name + " = " + input);
        } else {
            append_list(assignments, ", ", column.name + " = " + value);
        }
    }
    RowStatements result;
    const std::string suffix(table);
    result.insert_name = "insert_" + suffix;
    result.insert_sql = "INSERT INTO " + quoted + " (" + names + ") SELECT " + values + " FROM " +
                        unnest_of(columns, is_written);
    result.update_name = "update_" + suffix;
    result.update_sql = "UPDATE " + quoted + " SET " + assignments + " FROM " +
                        unnest_of(columns, is_written) + " WHERE " + match;
    result.remove_name = "remove_" + suffix;
    result.remove_sql =
        "DELETE FROM " + quoted + " USING " + unnest_of(columns, is_key) + " WHERE " + match;
    return result;
}

}  // namespace fallow::store
