#include <fmt/format.h>

#include <fallow/human.hpp>
#include <memory>

#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

/// Thousandths of a unit with one decimal, as data sheets write rates.
std::string rate(const std::optional<std::int64_t>& gigas) {
    return gigas ? fmt::format("{}.{}", *gigas / 1000, *gigas % 1000 / 100) : "-";
}

std::string density(const CardModel& model) {
    if (!model.performance_density_milli) return "-";
    const std::int64_t milli = *model.performance_density_milli;
    return fmt::format("{}.{:02}", milli / 1000, milli % 1000 / 10);
}

Columns<CardModel> model_list() {
    return {
        {"model", [](const CardModel& model) { return model.model; }},
        {"architecture", [](const CardModel& model) { return model.architecture; }},
        {"segment", [](const CardModel& model) { return model.segment; }},
        {"vram", [](const CardModel& model) { return format_size(model.vram_bytes); }},
        {"gb/s",
         [](const CardModel& model) {
             return std::to_string(model.memory_bandwidth_bytes_per_s / 1'000'000'000);
         }},
        {"fp16 tflops", [](const CardModel& model) { return rate(model.fp16_gflops); }},
        {"fp8 tflops", [](const CardModel& model) { return rate(model.fp8_gflops); }},
        {"tpp", [](const CardModel& model) { return std::to_string(model.tpp); }},
        {"tpp/mm2", &density},
        {"watts", [](const CardModel& model) { return or_dash(model.tdp_watts); }},
    };
}

Columns<CardModel> model_fields() {
    return {
        {"model", [](const CardModel& model) { return model.model; }},
        {"name", [](const CardModel& model) { return model.name; }},
        {"maker", [](const CardModel& model) { return model.maker; }},
        {"architecture", [](const CardModel& model) { return model.architecture; }},
        {"compute capability", [](const CardModel& model) { return or_dash(model.compute_capability); }},
        {"segment", [](const CardModel& model) { return model.segment; }},
        {"vram", [](const CardModel& model) { return format_size(model.vram_bytes); }},
        {"devices a card", [](const CardModel& model) { return std::to_string(model.devices); }},
        {"memory bandwidth",
         [](const CardModel& model) {
             return std::to_string(model.memory_bandwidth_bytes_per_s / 1'000'000'000) + " GB/s";
         }},
        {"fp16 tflops, dense", [](const CardModel& model) { return rate(model.fp16_gflops); }},
        {"fp8 tflops, dense", [](const CardModel& model) { return rate(model.fp8_gflops); }},
        {"int8 tops, dense", [](const CardModel& model) { return rate(model.int8_gops); }},
        {"fp6 tflops, dense", [](const CardModel& model) { return rate(model.fp6_gflops); }},
        {"fp4 tflops, dense", [](const CardModel& model) { return rate(model.fp4_gflops); }},
        {"tpp", [](const CardModel& model) { return std::to_string(model.tpp); }},
        {"tpp per mm2", &density},
        {"watts", [](const CardModel& model) { return or_dash(model.tdp_watts); }},
        {"drivers call it", [](const CardModel& model) { return joined(model.products); }},
        {"source", [](const CardModel& model) { return model.source; }},
        {"notes", [](const CardModel& model) { return model.notes.empty() ? "-" : model.notes; }},
    };
}

struct CatalogArguments : ListArguments {
    std::string maker;
};

}  // namespace

void add_catalog_commands(CLI::App& app, Context& context) {
    CLI::App& catalog = add_noun(app, "catalog", "The card models that the market knows");
    auto& list = *catalog.add_subcommand("list", "List them");
    const auto arguments = std::make_shared<CatalogArguments>();
    add_list_options(list, *arguments);
    list.add_option("--maker", arguments->maker, "nvidia, amd or intel")
        ->check(CLI::IsMember({"nvidia", "amd", "intel"}));
    on_run(context, list, arguments, [](Context& with, const CatalogArguments& given) {
        print_list<CardModel>(
            with, given, [&](const PageRequest& page) { return with.client().catalog(given.maker, page); },
            model_list());
    });
    add_show<CardModel>(catalog, context, "model", &Client::catalog_model, &model_fields);
}

}  // namespace fallow::cli
