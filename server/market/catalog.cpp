#include "market/catalog.hpp"

#include <algorithm>
#include <unordered_map>
#include <vector>

namespace fallow::market {
namespace {

// A proved size is stock within these; schema/catalog/README.md says why.
constexpr std::int64_t stock_percent_min = 85;
constexpr std::int64_t stock_percent_max = 105;

constexpr std::int64_t gib = 1LL << 30;
constexpr std::int64_t fine_step_gib = 2;
constexpr std::int64_t coarse_step_gib = 4;
constexpr std::int64_t coarse_from_gib = 32;

VramRange stock_range(const CardModel& model) {
    const std::int64_t percent = model.device_vram_bytes() / 100;
    return {percent * stock_percent_min - 1, percent * stock_percent_max};
}

using Names = std::unordered_map<std::string_view, std::vector<const CardModel*>>;

const Names& names() {
    static const Names all = [] {
        Names made;
        for (const CardModel& model : card_models())
            for (const std::string_view product : model.products)
                made[product].push_back(&model);
        return made;
    }();
    return all;
}

const std::vector<const CardModel*>* models_named(std::string_view product) {
    if (const auto found = names().find(product); found != names().end()) return &found->second;
    for (const CardMaker maker : {CardMaker::nvidia, CardMaker::amd, CardMaker::intel}) {
        const std::string_view prefix = product_prefix(maker);
        if (!product.starts_with(prefix)) continue;
        const auto found = names().find(product.substr(prefix.size()));
        if (found != names().end() && found->second.front()->maker == maker) return &found->second;
    }
    return nullptr;
}

}  // namespace

std::string_view product_prefix(CardMaker maker) {
    switch (maker) {
        case CardMaker::nvidia:
            return "NVIDIA ";
        case CardMaker::amd:
            return "AMD ";
        case CardMaker::intel:
            return "Intel(R) ";
    }
    return {};
}

std::optional<std::int64_t> CardModel::density_milli() const {
    if (!die_area_um2) return std::nullopt;
    constexpr std::int64_t um2_per_mm2 = 1'000'000;
    return tpp * 1000 * um2_per_mm2 / *die_area_um2;
}

const CardModel* find_model(std::string_view model) {
    const auto models = card_models();
    const auto found = std::lower_bound(models.begin(), models.end(), model,
                                        [](const CardModel& a, std::string_view b) { return a.model < b; });
    return found != models.end() && found->model == model ? &*found : nullptr;
}

const CardModel* model_of(std::string_view product, std::optional<std::int64_t> vram_bytes) {
    const auto* const candidates = models_named(product);
    if (candidates == nullptr) return nullptr;
    const auto stock = std::find_if(candidates->begin(), candidates->end(), [&](const CardModel* model) {
        return verification_class(*model, vram_bytes) == VerificationClass::stock;
    });
    return stock != candidates->end() ? *stock : candidates->front();
}

std::optional<VerificationClass> verification_class(const CardModel& model,
                                                    std::optional<std::int64_t> vram_bytes) {
    if (!vram_bytes) return std::nullopt;
    const VramRange stock = stock_range(model);
    const bool is_stock = *vram_bytes > stock.above && *vram_bytes <= stock.up_to;
    return is_stock ? VerificationClass::stock : VerificationClass::modified;
}

std::int64_t vram_class_gib(const CardModel& model, std::optional<std::int64_t> vram_bytes) {
    const std::int64_t stock_gib = model.device_vram_bytes() / gib;
    if (verification_class(model, vram_bytes) != VerificationClass::modified) return stock_gib;
    const std::int64_t step = *vram_bytes <= coarse_from_gib * gib ? fine_step_gib : coarse_step_gib;
    const std::int64_t rounded = (*vram_bytes + step * gib - 1) / (step * gib) * step;
    return rounded == stock_gib ? rounded - step : rounded;
}

VramRange vram_range(const CardModel& model, std::int64_t class_gib) {
    const VramRange stock = stock_range(model);
    const std::int64_t stock_gib = model.device_vram_bytes() / gib;
    if (class_gib == stock_gib) return stock;
    const std::int64_t step = class_gib <= coarse_from_gib ? fine_step_gib : coarse_step_gib;
    VramRange range{(class_gib - step) * gib, class_gib * gib};
    if (range.above >= stock.above && range.up_to <= stock.up_to) return {};
    if (range.above < stock.up_to && stock.up_to < range.up_to) range.above = stock.up_to;
    const bool is_next_below = class_gib + step == stock_gib;
    const bool reaches_into_stock = range.above <= stock.above && stock.above < range.up_to;
    if (is_next_below || reaches_into_stock) range.up_to = stock.above;
    return range;
}

}  // namespace fallow::market
