#include "codec.hpp"

namespace fallow::sdk {

template <>
struct Fields<CardModel> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("model", value.model);
        visit("name", value.name);
        visit("maker", value.maker);
        visit("architecture", value.architecture);
        visit("compute_capability", value.compute_capability);
        visit("segment", value.segment);
        visit("vram_bytes", value.vram_bytes);
        visit("devices", value.devices);
        visit("memory_bandwidth_bytes_per_s", value.memory_bandwidth_bytes_per_s);
        visit("fp16_gflops", value.fp16_gflops);
        visit("fp8_gflops", value.fp8_gflops);
        visit("int8_gops", value.int8_gops);
        visit("fp6_gflops", value.fp6_gflops);
        visit("fp4_gflops", value.fp4_gflops);
        visit("tpp", value.tpp);
        visit("die_area_um2", value.die_area_um2);
        visit("performance_density_milli", value.performance_density_milli);
        visit("tdp_watts", value.tdp_watts);
        visit("products", value.products);
        visit("source", value.source);
        visit("notes", value.notes);
    }
};

FALLOW_SDK_REPLY(CardModel);

}  // namespace fallow::sdk
