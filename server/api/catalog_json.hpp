// The card catalog as JSON, and what it says of a card.
#pragma once

#include <string_view>

#include "api/json_writer.hpp"
#include "market/catalog.hpp"

namespace fallow::api {

void write(JsonWriter& json, const market::CardModel& model);

/// "model" and "verification_class" of the object being written: null where the catalog does not know the
/// product, the class also while the memory is not measured.
void write_model_fields(JsonWriter& json, std::string_view product, std::optional<std::int64_t> vram_bytes);

}  // namespace fallow::api
