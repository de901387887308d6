#include "store/column_batch.hpp"

namespace fallow::store {
namespace {

/// `(SELECT unnest($1::uuid[]) AS "id", …) AS input` over the columns that `wanted` accepts. The lists are
/// taken apart in step; as functions behind FROM each would first be copied to a store of its own.
template <class Wanted>
std::string input_of(const std::vector<Column>& columns, Wanted&& wanted) {
    std::string lists;
    int number = 0;
    for (const Column& column : columns) {
        if (!wanted(column)) continue;
        if (number > 0) lists += ", ";
        lists += "unnest($" + std::to_string(++number) + "::" + std::string(column.type.element) +
                 "[]) AS " + column.name;
    }
    return "(SELECT " + lists + ") AS input";
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
                        input_of(columns, is_written);
    result.update_name = "update_" + suffix;
    result.update_sql = "UPDATE " + quoted + " SET " + assignments + " FROM " +
                        input_of(columns, is_written) + " WHERE " + match;
    result.remove_name = "remove_" + suffix;
    result.remove_sql = "DELETE FROM " + quoted + " USING " + input_of(columns, is_key) + " WHERE " + match;
    return result;
}

}  // namespace fallow::store
