// What the catalog (schema/catalog/cards.csv, built in) says of a card by the name its driver gives: what
// the self-test expects, and what a card with that name cannot fall short of.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

struct CatalogModel {
    std::string name;
    std::vector<std::string> products;
    std::optional<std::string> compute_capability;
    std::int64_t vram_bytes = 0;  ///< of one device, as its driver shows it
    std::int64_t bandwidth_bytes_per_s = 0;
};

[[nodiscard]] std::span<const CatalogModel> catalog_models();

/// Where models share a name: the one whose memory fits what was proved, else the first. Null when the
/// catalog does not know the name.
[[nodiscard]] const CatalogModel* find_catalog_model(std::string_view product, std::int64_t proved_bytes);

/// "NVIDIA GeForce RTX 4090" and "GeForce RTX 4090" are one name.
[[nodiscard]] std::string_view without_maker(std::string_view product);

/// The cells of one line of CSV; a cell in quotes may hold commas, and quotes twice.
[[nodiscard]] std::vector<std::string> split_csv(std::string_view line);

}  // namespace fallow::agent
