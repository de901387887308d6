// Cards as JSON: what the server is told, what lies in cards.json, what the probe's child says to its
// parent.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "agent/inventory.hpp"

namespace fallow::agent {

/// The body of PUT /v1/agent/inventory. `withheld`: by uuid why cards are not offered now; a refused one is
/// not offered, either.
[[nodiscard]] std::string encode_inventory(const HostDescription& host, const std::vector<CardFacts>& cards,
                                           const std::map<std::string, std::string>& withheld);

/// Everything that is known of them.
[[nodiscard]] std::string encode_cards(const std::vector<CardFacts>& cards);
/// Throws std::runtime_error on anything encode_cards did not write. Of an earlier agent's cards, what it
/// did not know is as if nothing were known.
[[nodiscard]] std::vector<CardFacts> parse_cards(std::string_view text);

[[nodiscard]] nlohmann::json measurement_json(const Measurement& measured);
/// Throws nlohmann::json::exception.
[[nodiscard]] Measurement measurement_from(const nlohmann::json& object);

}  // namespace fallow::agent
