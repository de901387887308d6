#include "output.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fallow/human.hpp>
#include <nlohmann/json.hpp>

namespace fallow::cli {
namespace {

/// Code points, which is columns for all but a few scripts.
std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

std::string dumped(std::string_view json, int indent) {
    return nlohmann::ordered_json::parse(json).dump(indent, ' ', false,
                                                    nlohmann::ordered_json::error_handler_t::replace) +
           "\n";
}

}  // namespace

std::string printable(std::string_view text) {
    std::string safe;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool c1 =
            byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if (c1) ++i;  // U+0080 to U+009F: a terminal may take them for escape sequences
        safe.push_back(byte < 0x20 || byte == 0x7F || c1 ? '?' : text[i]);
    }
    return safe;
}

std::string or_dash(const std::optional<std::string>& text) {
    return text ? *text : "-";
}

std::string or_dash(const std::optional<std::int64_t>& number) {
    return number ? std::to_string(*number) : "-";
}

std::string usd_or_dash(const std::optional<std::int64_t>& micros) {
    return micros ? format_usd(*micros) : "-";
}

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts)
        all += (all.empty() ? "" : " ") + text;
    return all.empty() ? "-" : all;
}

std::string yes_no(bool value) {
    return value ? "yes" : "no";
}

std::string plain(const JsonText& json) {
    const auto value = nlohmann::ordered_json::parse(json.text, nullptr, false);
    if (value.is_null()) return "-";
    return value.is_string() ? value.get<std::string>() : json.text;
}

std::string string_array(const std::vector<std::string>& texts) {
    return nlohmann::ordered_json(texts).dump();
}

void print_text(std::string_view text) {
    const bool whole = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (!whole || std::fflush(stdout) != 0) throw CommandFailed("stdout cannot be written to");
}

void print_json(std::string_view json) {
    print_text(dumped(json, 2));
}

void print_json_line(std::string_view json) {
    print_text(dumped(json, -1));
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::vector<std::string>> cells = rows;
    std::vector<std::size_t> widths(rows.at(0).size(), 0);
    for (std::size_t row = 0; row < cells.size(); ++row) {
        for (std::size_t column = 0; column < widths.size(); ++column) {
            std::string& cell = cells[row].at(column);
            cell = row == 0 ? upper(cell) : printable(cell);
            widths[column] = std::max(widths[column], width_of(cell));
        }
    }
    std::string text;
    for (const auto& row : cells) {
        std::string line;
        for (std::size_t column = 0; column < row.size(); ++column)
            line += row[column] + std::string(widths[column] - width_of(row[column]) + 2, ' ');
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    print_text(text);
}

void print_fields(const std::vector<std::pair<std::string, std::string>>& fields) {
    std::size_t width = 0;
    for (const auto& [title, value] : fields)
        width = std::max(width, width_of(title));
    std::string text;
    for (const auto& [title, value] : fields)
        text += title + std::string(width - width_of(title) + 2, ' ') + printable(value) + "\n";
    print_text(text);
}

}  // namespace fallow::cli
