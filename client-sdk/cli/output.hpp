// What a command prints on stdout: a table for people, JSON for programs.
#pragma once

#include <fallow/json.hpp>
#include <fallow/paging.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "context.hpp"

namespace fallow::cli {

/// One column of a list, or one line of a single object.
template <class T>
struct Column {
    std::string title;
    std::function<std::string(const T&)> text;
};
template <class T>
using Columns = std::vector<Column<T>>;

/// How much of a list is asked for.
struct ListArguments {
    int limit = 100;
    bool all = false;
};

/// Text of others, made safe for a terminal: every control character becomes '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// An absent value is a dash.
[[nodiscard]] std::string or_dash(const std::optional<std::string>& text);
[[nodiscard]] std::string or_dash(const std::optional<std::int64_t>& number);
[[nodiscard]] std::string usd_or_dash(const std::optional<std::int64_t>& micros);
[[nodiscard]] std::string joined(const std::vector<std::string>& texts);
[[nodiscard]] std::string yes_no(bool value);
/// A JSON string without its quotes, null as a dash, anything else as it is.
[[nodiscard]] std::string plain(const JsonText& json);

/// A JSON array of strings.
[[nodiscard]] std::string string_array(const std::vector<std::string>& texts);

/// Writes to stdout; CommandFailed when stdout takes no more.
void print_text(std::string_view text);
/// Indented, with a line end.
void print_json(std::string_view json);
/// On one line, at once, for what is followed.
void print_json_line(std::string_view json);

/// Lines of equal cells, the first line being the titles.
void print_table(const std::vector<std::vector<std::string>>& rows);
/// "title  value" lines.
void print_fields(const std::vector<std::pair<std::string, std::string>>& fields);

template <class T>
void print_one(const Context& context, const T& value, const Columns<T>& columns) {
    if (context.format() == Format::json) return print_json(to_json(value));
    std::vector<std::pair<std::string, std::string>> fields;
    for (const Column<T>& column : columns)
        fields.emplace_back(column.title, column.text(value));
    print_fields(fields);
}

template <class T>
void print_rows(const Context& context, const std::vector<T>& items, const Columns<T>& columns) {
    if (context.format() == Format::json) {
        std::string array = "[";
        for (const T& item : items)
            array += (array.size() == 1 ? "" : ",") + to_json(item);
        return print_json(array + "]");
    }
    std::vector<std::vector<std::string>> rows(1);
    for (const Column<T>& column : columns)
        rows[0].push_back(column.title);
    for (const T& item : items) {
        auto& row = rows.emplace_back();
        for (const Column<T>& column : columns)
            row.push_back(column.text(item));
    }
    print_table(rows);
}

/// Walks the list up to the limit, then prints it. Says so when there is more.
template <class T>
void print_list(const Context& context, const ListArguments& arguments, typename PagedRange<T>::Fetch fetch,
                const Columns<T>& columns) {
    std::vector<T> items;
    bool more = false;
    PageRequest first;
    if (!arguments.all && arguments.limit < first.limit) first.limit = arguments.limit;
    for (const T& item : every<T>(std::move(fetch), first)) {
        more = !arguments.all && static_cast<int>(items.size()) == arguments.limit;
        if (more) break;
        items.push_back(item);
    }
    print_rows(context, items, columns);
    if (more)
        Context::message("there are more than " + std::to_string(arguments.limit) + "; --all shows them");
}

}  // namespace fallow::cli
