// The data of schema/catalog: ranges, names, and the processing performance against its formula.
#include "market/catalog.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

#include "support/market_builders.hpp"

using namespace fallow;
using namespace fallow::market;
using fallow::testing::gib;

namespace {

std::int64_t tpp_of(const CardModel& model) {
    const std::int64_t giga =
        std::max({model.fp16_gflops.value_or(0) * 16, model.fp8_gflops.value_or(0) * 8,
                  model.int8_gops.value_or(0) * 8, model.fp6_gflops.value_or(0) * 6,
                  model.fp4_gflops.value_or(0) * 4});
    return giga / 1000;
}

bool is_slug(std::string_view text) {
    return !text.empty() && text.size() <= 40 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

std::string text_of(const CardModel* model) {
    return model == nullptr ? "-" : std::string(model->model);
}

}  // namespace

TEST_CASE("Catalog: every row is within bounds and says where it is from") {
    CHECK(card_models().size() >= 60);
    std::map<CardMaker, int> of_maker;
    for (const CardModel& model : card_models()) {
        INFO(model.model);
        ++of_maker[model.maker];
        CHECK(is_slug(model.model));
        CHECK_FALSE(model.name.empty());
        CHECK_FALSE(model.architecture.empty());
        CHECK(model.compute_capability.has_value() == (model.maker == CardMaker::nvidia));
        CHECK((model.vram_bytes >= gib(4) && model.vram_bytes <= gib(512)));
        CHECK((model.devices == 1 || model.devices == 2));
        CHECK((model.memory_bandwidth_bytes_per_s >= 200'000'000'000 &&
               model.memory_bandwidth_bytes_per_s <= 20'000'000'000'000));
        CHECK((model.tpp >= 200 && model.tpp <= 100'000));
        CHECK(model.tpp == tpp_of(model));
        CHECK((!model.tdp_watts || (*model.tdp_watts >= 40 && *model.tdp_watts <= 2000)));
        CHECK((!model.die_area_um2 ||
               (*model.die_area_um2 >= 100'000'000 && *model.die_area_um2 < 900'000'000)));
        CHECK(std::ranges::count(model.source, ',') >= 2);
        CHECK_FALSE(model.products.empty());
        const bool is_complete = model.fp16_gflops && model.die_area_um2 && model.tdp_watts;
        CHECK((is_complete || !model.notes.empty()));
    }
    CHECK((of_maker[CardMaker::nvidia] >= 40 && of_maker[CardMaker::amd] >= 15 &&
           of_maker[CardMaker::intel] >= 5));
}

TEST_CASE(
    "Catalog: slugs are sorted and unique, and a shared product name tells the models apart by memory") {
    const auto models = card_models();
    std::map<std::string_view, std::set<std::int64_t>> sizes;
    std::map<std::string_view, std::size_t> sharing;
    for (std::size_t i = 0; i < models.size(); ++i) {
        if (i > 0) CHECK(models[i - 1].model < models[i].model);
        CHECK(find_model(models[i].model) == &models[i]);
        for (const std::string_view product : models[i].products) {
            CHECK(product.size() <= limits::name_bytes_max);
            sizes[product].insert(models[i].vram_bytes);
            ++sharing[product];
        }
    }
    for (const auto& [product, count] : sharing) {
        INFO(product);
        CHECK(sizes[product].size() == count);
    }
    CHECK(find_model("rtx-4090 ") == nullptr);
    CHECK(find_model("") == nullptr);
}

TEST_CASE("Catalog: the figures that export rules turn on") {
    struct Case {
        const char* model;
        std::int64_t tpp;
        std::optional<std::int64_t> density_milli;
    };
    for (const Case& row : std::vector<Case>{{"h100-sxm", 15'831, 19'448},
                                             {"a100-pcie-80gb", 4992, 6043},
                                             {"rtx-4090", 5284, 8683},
                                             {"rtx-4090d", 4707, 7735},
                                             {"rtx-5090d-v2", 4750, 6333},
                                             {"h20", 2368, 2909},
                                             {"l20", 1912, 3142},
                                             {"l4", 1940, 6587},
                                             {"mi210", 2896, 3761},
                                             {"mi355x", 60'600, std::nullopt},  // by FP6
                                             {"mi300x", 20'919, std::nullopt}}) {
        INFO(row.model);
        const CardModel* model = find_model(row.model);
        REQUIRE(model != nullptr);
        CHECK(model->tpp == row.tpp);
        CHECK(model->density_milli() == row.density_milli);
    }
}

TEST_CASE("Catalog: the names that drivers report") {
    struct Case {
        const char* product;
        std::optional<std::int64_t> vram;
        const char* model;
    };
    for (const Case& row :
         std::vector<Case>{{"NVIDIA GeForce RTX 4090", gib(24), "rtx-4090"},
                           {"NVIDIA GeForce RTX 4090 D", gib(48), "rtx-4090d"},
                           {"NVIDIA H100 80GB HBM3", gib(79), "h100-sxm"},
                           {"Tesla V100-SXM2-32GB", std::nullopt, "v100-sxm2-32gb"},
                           {"NVIDIA GeForce RTX 3080", gib(10), "rtx-3080"},
                           {"NVIDIA GeForce RTX 3080", gib(12), "rtx-3080-12gb"},
                           {"NVIDIA GeForce RTX 3080", gib(20), "rtx-3080"},
                           {"NVIDIA GeForce RTX 3080", std::nullopt, "rtx-3080"},
                           {"NVIDIA GeForce RTX 2060", gib(6), "rtx-2060"},
                           {"NVIDIA GeForce RTX 2060", gib(12), "rtx-2060-12gb"},
                           {"AMD Radeon RX 9060 XT", gib(8), "rx-9060-xt-8gb"},
                           {"NVIDIA B300 SXM6 AC", gib(268), "b300"},
                           {"NVIDIA RTX PRO 5000 72GB Blackwell", gib(72), "rtx-pro-5000-72gb"},
                           {"NVIDIA RTX PRO 5000 Blackwell", gib(47), "rtx-pro-5000"},
                           {"AMD Instinct MI300X", gib(191), "mi300x"},
                           {"Intel(R) Arc(TM) Pro B60 Graphics", gib(24), "arc-pro-b60"},
                           {"Intel(R) Arc(TM) A770 Graphics", gib(15), "arc-a770"},
                           {"AMD GeForce RTX 4090", gib(24), "-"},
                           {"GeForce RTX 4090 Laptop GPU", gib(16), "-"},
                           {"nvidia geforce rtx 4090", gib(24), "-"},
                           {"H100", gib(80), "-"},
                           {"", std::nullopt, "-"}}) {
        INFO(row.product);
        CHECK(text_of(model_of(row.product, row.vram)) == row.model);
    }
}

TEST_CASE("Catalog: stock and modified memory") {
    constexpr std::int64_t mib = 1 << 20;
    struct Case {
        const char* model;
        std::optional<std::int64_t> vram;
        std::optional<VerificationClass> found;
        std::int64_t class_gib;
    };
    using enum VerificationClass;
    for (const Case& row : std::vector<Case>{{"rtx-4090", 24'564 * mib, stock, 24},
                                             {"rtx-4090d", 49'140 * mib, modified, 48},
                                             {"rtx-4090d", 47'000 * mib, modified, 48},
                                             {"rtx-2080-ti", 22'528 * mib, modified, 22},
                                             {"rtx-3090", 12'000 * mib, modified, 12},
                                             {"l40s", 46'068 * mib, stock, 48},  // error correction
                                             {"h200-sxm", 143'771 * mib, stock, 141},
                                             {"mi250x", 65'536 * mib, stock, 64},  // one of its two devices
                                             {"mi250x", 131'072 * mib, modified, 128},
                                             {"a40", std::nullopt, std::nullopt, 48}}) {
        INFO(row.model);
        const CardModel* model = find_model(row.model);
        REQUIRE(model != nullptr);
        CHECK(verification_class(*model, row.vram) == row.found);
        CHECK(vram_class_gib(*model, row.vram) == row.class_gib);
        const VramRange range = vram_range(*model, row.class_gib);
        if (row.vram) CHECK((*row.vram > range.above && *row.vram <= range.up_to));
    }
}

TEST_CASE("Catalog: a measured size is in the range of its class and of no other") {
    constexpr std::int64_t mib = 1 << 20;
    for (const char* slug : {"rtx-4090", "rtx-2080-ti", "rtx-3080", "h100-sxm", "mi250x"}) {
        const CardModel* model = find_model(slug);
        REQUIRE(model != nullptr);
        for (std::int64_t vram = gib(1); vram < gib(100); vram += 97 * mib) {
            const std::int64_t own = vram_class_gib(*model, vram);
            for (std::int64_t other = 1; other <= 200; ++other) {
                const VramRange range = vram_range(*model, other);
                const bool is_inside = vram > range.above && vram <= range.up_to;
                if (other == own && !is_inside) FAIL(slug << ' ' << vram << " is not in " << other);
                if (other == model->device_vram_bytes() / gib(1) && is_inside != (own == other))
                    FAIL(slug << ' ' << vram << " is stock or not");
            }
        }
    }
}
