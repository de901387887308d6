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

std::string_view prefix_of(CardMaker maker) {
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
        const std::string_view prefix = prefix_of(maker);
        if (!product.starts_with(prefix)) continue;
        const auto found = names().find(product.substr(prefix.size()));
        if (found != names().end() && found->second.front()->maker == maker) return &found->second;
    }
    return nullptr;
}

}  // namespace

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
    const std::int64_t percent_of_stock = model.device_vram_bytes() / 100;
    const bool is_stock = *vram_bytes >= percent_of_stock * stock_percent_min &&
                          *vram_bytes <= percent_of_stock * stock_percent_max;
    return is_stock ? VerificationClass::stock : VerificationClass::modified;
}

std::int64_t vram_class_gib(const CardModel& model, std::optional<std::int64_t> vram_bytes) {
    if (verification_class(model, vram_bytes) != VerificationClass::modified)
        return model.device_vram_bytes() / gib;
    const std::int64_t step = *vram_bytes < coarse_from_gib * gib ? fine_step_gib : coarse_step_gib;
    return (*vram_bytes + step * gib - 1) / (step * gib) * step;
}

}  // namespace fallow::market
