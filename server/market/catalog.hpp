// What is known of card models beside what agents measure: stock memory, rates, processing performance as
// export rules count it. The data are schema/catalog, compiled in; a look-up does no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/enum.hpp"

namespace fallow::market {

FALLOW_ENUM(CardMaker, nvidia, amd, intel)
FALLOW_ENUM(Segment, datacenter, workstation, consumer)
/// Whether a card has the memory that its model is sold with.
FALLOW_ENUM(VerificationClass, stock, modified)

/// One row of schema/catalog/cards.csv; schema/catalog/README.md says what each column is.
struct CardModel {
    std::string_view model;
    std::string_view name;
    CardMaker maker = CardMaker::nvidia;
    std::string_view architecture;
    std::optional<std::string_view> compute_capability;
    Segment segment = Segment::datacenter;
    std::int64_t vram_bytes = 0;
    std::int32_t devices = 1;
    std::int64_t memory_bandwidth_bytes_per_s = 0;
    std::optional<std::int64_t> fp16_gflops;
    std::optional<std::int64_t> fp8_gflops;
    std::optional<std::int64_t> int8_gops;
    std::optional<std::int64_t> fp6_gflops;
    std::optional<std::int64_t> fp4_gflops;
    std::int64_t tpp = 0;
    std::optional<std::int64_t> die_area_um2;
    std::optional<std::int32_t> tdp_watts;
    std::string_view source;  ///< publisher, title, month
    std::string_view notes;
    std::span<const std::string_view> products;

    /// Memory of one device, as its driver shows it.
    [[nodiscard]] std::int64_t device_vram_bytes() const { return vram_bytes / devices; }
    /// TPP per mm² in thousandths, without its fraction; absent where the area is not public.
    [[nodiscard]] std::optional<std::int64_t> density_milli() const;
};

/// Every model, by slug.
[[nodiscard]] std::span<const CardModel> card_models();

/// What may stand before a product's name: "NVIDIA ".
[[nodiscard]] std::string_view product_prefix(CardMaker maker);

[[nodiscard]] const CardModel* find_model(std::string_view model);

/// The model of a device by the name its driver gives. Where models share a name, the one whose stock
/// memory fits what was measured, else the first. nullptr when the catalog does not know the name.
[[nodiscard]] const CardModel* model_of(std::string_view product, std::optional<std::int64_t> vram_bytes);

/// Absent while the memory is not measured.
[[nodiscard]] std::optional<VerificationClass> verification_class(const CardModel& model,
                                                                  std::optional<std::int64_t> vram_bytes);

/// The memory by which cards of one model are told apart, in GiB: the stock size for a stock card, else the
/// measured one rounded up to 2 GiB, or 4 GiB from 32 GiB on (drivers and error correction only take); a
/// modified size is never that of stock.
[[nodiscard]] std::int64_t vram_class_gib(const CardModel& model, std::optional<std::int64_t> vram_bytes);

/// The measured sizes that vram_class_gib() puts into a class: above the one bound, up to the other. Empty
/// where the stock sizes take all of the class.
struct VramRange {
    std::int64_t above = 0;
    std::int64_t up_to = 0;
};
[[nodiscard]] VramRange vram_range(const CardModel& model, std::int64_t class_gib);

}  // namespace fallow::market
