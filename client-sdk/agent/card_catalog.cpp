#include "agent/card_catalog.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <stdexcept>

#include "agent/verification.hpp"

namespace fallow::agent {

extern const char* const catalog_cards;  // schema/catalog/cards.csv, embedded by CMake

namespace {

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(separator, at), text.size());
        if (end > at) parts.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

double number(const std::string& text) {
    double value = 0;
    const auto end = text.data() + text.size();
    if (std::from_chars(text.data(), end, value).ptr != end)
        throw std::logic_error("the catalog has no number in " + text);
    return value;
}

CatalogModel model_from(const std::map<std::string, std::string>& row) {
    constexpr double gib = 1024.0 * 1024 * 1024;
    CatalogModel model;
    model.name = row.at("name");
    model.products = split(row.at("products"), '|');
    if (!row.at("compute_capability").empty()) model.compute_capability = row.at("compute_capability");
    const double devices = row.at("devices").empty() ? 1 : number(row.at("devices"));
    model.vram_bytes = static_cast<std::int64_t>(number(row.at("vram_gib")) * gib / devices);
    model.bandwidth_bytes_per_s =
        static_cast<std::int64_t>(number(row.at("bandwidth_gb_s")) * 1e9 / devices);
    return model;
}

std::vector<CatalogModel> read_catalog() {
    std::vector<CatalogModel> models;
    std::vector<std::string> columns;
    for (const std::string& line : split(catalog_cards, '\n')) {
        const std::vector<std::string> cells = split_csv(line);
        if (columns.empty()) {
            columns = cells;
            continue;
        }
        std::map<std::string, std::string> row;
        for (std::size_t i = 0; i < std::min(columns.size(), cells.size()); ++i)
            row[columns[i]] = cells[i];
        models.push_back(model_from(row));
    }
    return models;
}

}  // namespace

std::vector<std::string> split_csv(std::string_view line) {
    std::vector<std::string> cells(1);
    bool is_quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const bool is_doubled = is_quoted && i + 1 < line.size() && line[i + 1] == '"';
        if (line[i] == '"' && is_doubled) {
            cells.back() += line[i++];
        } else if (line[i] == '"') {
            is_quoted = !is_quoted;
        } else if (line[i] == ',' && !is_quoted) {
            cells.emplace_back();
        } else if (line[i] != '\r') {
            cells.back() += line[i];
        }
    }
    return cells;
}

std::span<const CatalogModel> catalog_models() {
    static const std::vector<CatalogModel> models = read_catalog();
    return models;
}

std::string_view without_maker(std::string_view product) {
    for (const std::string_view maker : {"NVIDIA ", "AMD ", "Intel(R) "})
        if (product.starts_with(maker)) return product.substr(maker.size());
    return product;
}

const CatalogModel* find_catalog_model(std::string_view product, std::int64_t proved_bytes) {
    const CatalogModel* first = nullptr;
    for (const CatalogModel& model : catalog_models()) {
        const bool is_named = std::any_of(
            model.products.begin(), model.products.end(),
            [&](const std::string& name) { return name == product || name == without_maker(product); });
        if (!is_named) continue;
        if (memory_class(model, proved_bytes) == "stock") return &model;
        if (first == nullptr) first = &model;
    }
    return first;
}

}  // namespace fallow::agent
