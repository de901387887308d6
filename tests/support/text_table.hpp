// Tables as text: a test's rows as a person would write them down.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::testing {

/// One row: the text of each column by the column's name.
class TextRow {
  public:
    void set(const std::string& column, std::string value) { cells_[column] = std::move(value); }
    [[nodiscard]] const std::string& operator[](const std::string& column) const {
        const auto found = cells_.find(column);
        INFO("column " << column);
        REQUIRE(found != cells_.end());
        return found->second;
    }
    [[nodiscard]] std::int64_t number(const std::string& column) const {
        return std::stoll((*this)[column]);
    }
    [[nodiscard]] const std::map<std::string, std::string>& cells() const { return cells_; }

  private:
    std::map<std::string, std::string> cells_;
};

inline std::string trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

inline std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells;
    while (true) {
        const auto bar = line.find('|');
        cells.push_back(trimmed(line.substr(0, bar)));
        if (bar == std::string_view::npos) return cells;
        line.remove_prefix(bar + 1);
    }
}

/// Lines of cells separated by '|'; the first names the columns; empty lines are skipped.
inline std::vector<TextRow> text_table(const std::string& text) {
    std::vector<TextRow> rows;
    std::vector<std::string> names;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (trimmed(line).empty()) continue;
        const std::vector<std::string> cells = cells_of(line);
        if (names.empty()) {
            names = cells;
            continue;
        }
        INFO(line);
        REQUIRE(cells.size() == names.size());
        TextRow row;
        for (std::size_t i = 0; i < cells.size(); ++i)
            row.set(names[i], cells[i]);
        rows.push_back(std::move(row));
    }
    REQUIRE(!rows.empty());
    return rows;
}

}  // namespace fallow::testing
