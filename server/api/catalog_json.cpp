#include "api/catalog_json.hpp"

namespace fallow::api {

void write(JsonWriter& json, const market::CardModel& model) {
    json.begin_object()
        .field("model", model.model)
        .field("name", model.name)
        .field("maker", model.maker)
        .field("architecture", model.architecture)
        .field("compute_capability", model.compute_capability)
        .field("segment", model.segment)
        .field("vram_bytes", model.vram_bytes)
        .field("devices", model.devices)
        .field("memory_bandwidth_bytes_per_s", model.memory_bandwidth_bytes_per_s)
        .field("fp16_gflops", model.fp16_gflops)
        .field("fp8_gflops", model.fp8_gflops)
        .field("int8_gops", model.int8_gops)
        .field("fp6_gflops", model.fp6_gflops)
        .field("fp4_gflops", model.fp4_gflops)
        .field("tpp", model.tpp)
        .field("die_area_um2", model.die_area_um2)
        .field("performance_density_milli", model.density_milli())
        .field("tdp_watts", model.tdp_watts);
    json.key("products").begin_array();
    for (const std::string_view product : model.products)
        json.value(product);
    json.end_array().field("source", model.source).field("notes", model.notes).end_object();
}

void write_model_fields(JsonWriter& json, std::string_view product,
                        std::optional<std::int64_t> vram_bytes) {
    const market::CardModel* model = market::model_of(product, vram_bytes);
    json.field("model", model != nullptr ? std::optional(model->model) : std::nullopt)
        .field("verification_class",
               model != nullptr ? market::verification_class(*model, vram_bytes) : std::nullopt);
}

}  // namespace fallow::api
