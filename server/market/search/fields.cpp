#include "market/search/fields.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "base/int128.hpp"
#include "market/catalog.hpp"
#include "market/pools.hpp"
#include "market/reliability.hpp"
#include "market/weekly_window.hpp"

namespace fallow::market::search {
namespace {

Cell cell(std::int64_t value) {
    return Cell(value);
}
Cell cell(const std::optional<std::int64_t>& value) {
    return value ? Cell(*value) : Cell();
}
Cell cell(const std::optional<std::int32_t>& value) {
    return value ? Cell(std::int64_t{*value}) : Cell();
}
Cell cell(const std::optional<std::string>& value) {
    return value ? Cell(*value) : Cell();
}
Cell cell_of_version(const std::optional<std::string>& value) {
    return value ? cell(pack_version(*value)) : Cell();
}
Cell cell(const std::optional<Time>& value) {
    return value ? Cell(value->ms) : Cell();
}
Cell cell(bool value) {
    return Cell(std::int64_t{value ? 1 : 0});
}
Cell cell(const std::string& value) {
    return value.empty() ? Cell() : Cell(value);
}
template <NamedEnum E>
Cell cell(E value) {
    return Cell(std::string(name_of(value)));
}

/// The ask per so many units of what a card has.
Cell price_per(const Facts& facts, const std::optional<std::int64_t>& amount, std::int64_t unit) {
    if (!amount || *amount <= 0) return {};
    return Cell(
        static_cast<std::int64_t>(static_cast<Int128>(facts.listing.ask.micros_per_hour) * unit / *amount));
}

Cell vram_of_listing(const Facts& facts) {
    std::int64_t sum = 0;
    for (const CardId id : facts.listing.cards) {
        const Card* card = facts.state.find<Card>(id);
        if (card == nullptr || !card->vram_bytes) return {};
        sum += *card->vram_bytes;
    }
    return Cell(sum);
}

const CardModel* catalog_of(const Facts& facts) {
    return market::model_of(facts.card->product, facts.card->vram_bytes);
}

/// What the catalog says of the card's model; unknown for a card that it does not have.
template <class Get>
Cell from_catalog(const Facts& facts, Get get) {
    const CardModel* model = catalog_of(facts);
    return model != nullptr ? get(*model) : Cell();
}

Cell compute_capability(const Facts& facts) {
    if (facts.card->compute_capability) return cell_of_version(facts.card->compute_capability);
    return from_catalog(facts, [](const CardModel& model) {
        return model.compute_capability ? cell(pack_version(*model.compute_capability)) : Cell();
    });
}

Cell verification_class_of(const Facts& facts) {
    return from_catalog(facts, [&](const CardModel& model) {
        const auto found = verification_class(model, facts.card->vram_bytes);
        return found ? cell(*found) : Cell();
    });
}

Cell flops_of(const Facts& facts, std::optional<std::int64_t> CardModel::*gflops) {
    return from_catalog(facts, [&](const CardModel& model) {
        return model.*gflops ? Cell(*(model.*gflops) * 1'000'000'000) : Cell();
    });
}

/// Of cards that are offered for spot alone: search shows what a bid is up against.
Cell spot_price_of(const Facts& facts) {
    if (!facts.listing.spot_floor) return {};
    const auto pool = facts.state.spot_pools().find(spot_pool_name(*facts.card));
    if (pool == facts.state.spot_pools().end()) return {};
    const auto& price = facts.state.at<SpotPool>(pool->second).price;
    return price ? Cell(price->micros_per_hour) : Cell();
}

/// Of cards of one host that are there and in its NVLink group; a card without a group is alone.
template <class Counts>
Cell cards_linked(const Facts& facts, Counts counts) {
    const auto group = facts.card->details.nvlink_group;
    if (!group) return Cell(std::int64_t{counts(*facts.card) ? 1 : 0});
    std::int64_t count = 0;
    for (const CardId id : facts.listing.cards) {
        const Card* other = facts.state.find<Card>(id);
        if (other != nullptr && other->details.nvlink_group == group && counts(*other)) ++count;
    }
    return Cell(count);
}

Cell pcie_bandwidth_of(const Facts& facts) {
    const CardSpeeds& speeds = facts.card->speeds;
    if (!speeds.to_device_bytes_per_s || !speeds.from_device_bytes_per_s) return {};
    return Cell(std::min(*speeds.to_device_bytes_per_s, *speeds.from_device_bytes_per_s));
}

/// The ask with so many GiB kept beside the card, for an hour of the 30 days that storage is priced by.
Cell price_with_storage(const Facts& facts, std::int64_t stored_gib) {
    constexpr std::int64_t hours_of_storage = 30 * 24;
    const std::int64_t storage =
        (facts.listing.storage_price.count * stored_gib + hours_of_storage - 1) / hours_of_storage;
    return Cell(facts.listing.ask.micros_per_hour + storage);
}

constexpr std::int64_t gibi = 1024LL * 1024 * 1024;
constexpr std::int64_t tera = 1'000'000'000'000;

using enum Kind;
using enum Scope;
using F = const Facts&;

constexpr std::array table{
    // The card: what it says it is, and what was measured.
    Field{"model", text, card, "the product without maker, memory size and form, like h100 or rtx-4090d",
          [](F f) { return cell(family_of(f.card->product)); }},
    Field{"product", text, card, "the product's name as the device gives it",
          [](F f) { return cell(f.card->product); }},
    Field{
        "variant", text, card, "the model's name in the catalog, like h100-sxm",
        [](F f) { return from_catalog(f, [](const CardModel& m) { return cell(std::string(m.model)); }); }},
    Field{"architecture", text, card, "the architecture, as the catalog has it, like hopper",
          [](F f) {
              return from_catalog(f, [](const CardModel& m) { return cell(std::string(m.architecture)); });
          }},
    Field{"segment", text, card, "datacenter, workstation or consumer, as the catalog has it",
          [](F f) { return from_catalog(f, [](const CardModel& m) { return cell(m.segment); }); }},
    Field{"vendor", text, card, "the maker as the device gives it",
          [](F f) { return cell(f.card->vendor); }},
    Field{"class", text, card, "gpu, cpu or accelerator", [](F f) { return cell(f.card->device_class); }},
    Field{"backend", text, card, "through what the agent reaches the card: nvml or opencl",
          [](F f) { return cell(f.card->backend); }},
    Field{"driver", version, card, "the driver's version",
          [](F f) { return cell(pack_version(f.card->driver_version)); }},
    Field{"cuda", version, card, "the newest CUDA that the card's driver runs",
          [](F f) { return cell_of_version(f.card->cuda_version); }},
    Field{"compute_capability", version, card,
          "the CUDA compute capability, as the driver says, or the catalog", compute_capability},
    Field{"pcie_generation", number, card, "the PCIe generation that card and slot can do",
          [](F f) { return cell(f.card->pcie_generation); }},
    Field{"pcie_width", number, card, "the PCIe lanes that card and slot can do",
          [](F f) { return cell(f.card->pcie_width); }},
    Field{"power_limit", number, card, "the power limit that is enforced on the card, in watts",
          [](F f) { return cell(f.card->power_limit_watts); }},
    Field{"pcie_bandwidth", bytes_per_s, card,
          "the slower way between the host's memory and the card's, as measured", pcie_bandwidth_of},
    Field{"clock", number, card, "the most that the card's processors reach, in MHz",
          [](F f) { return cell(f.card->details.clock_mhz); }},
    Field{"ecc", boolean, card, "the card's memory corrects errors",
          [](F f) { return f.card->details.ecc ? cell(*f.card->details.ecc) : Cell(); }},
    Field{"ecc_errors", number, card, "errors that the card's memory could not correct, in its whole life",
          [](F f) { return cell(f.card->details.ecc_errors); }},
    Field{"nvlinks", number, card, "NVLink links of the card that are up",
          [](F f) { return cell(f.card->details.nvlink_links); }},
    Field{"nvlink_bandwidth", bytes_per_s, card, "of all NVLink links of the card together, one way",
          [](F f) { return cell(f.card->details.nvlink_bytes_per_s); }},
    Field{"nvlink_group_size", number, card,
          "cards of the listing that reach each other by NVLink, this one with them; 1: it is alone",
          [](F f) { return cards_linked(f, [](const Card& c) { return c.state != CardState::missing; }); }},
    Field{"nvlink_group_free", number, card, "how many of these are free",
          [](F f) { return cards_linked(f, [](const Card& c) { return c.is_free(); }); }},
    Field{"mig_profile", text, card,
          "the part of a card that this is, cut in hardware, like 1g.10gb; unknown: a whole card",
          [](F f) { return cell(f.card->details.mig_profile); }},
    Field{"vram", bytes, card, "memory of the card, as measured over its whole capacity",
          [](F f) { return cell(f.card->vram_bytes); }},
    Field{"stock_vram", bytes, card, "memory that the model is sold with, from the catalog",
          [](F f) {
              return from_catalog(f, [](const CardModel& m) { return Cell(m.device_vram_bytes()); });
          }},
    Field{"verification_class", text, card,
          "stock, or modified: the measured memory is not what the model is sold with",
          verification_class_of},
    Field{"memory_bandwidth", bytes_per_s, card, "bandwidth of the card's memory, as measured",
          [](F f) { return cell(f.card->memory_bandwidth_bytes_per_s); }},
    Field{"fp32", flops, card, "speed with 32-bit floats, as measured",
          [](F f) { return cell(f.card->fp32_flops); }},
    Field{"fp16", flops, card, "dense speed with 16-bit numbers, from the catalog",
          [](F f) { return flops_of(f, &CardModel::fp16_gflops); }},
    Field{"fp16_measured", flops, card, "speed with 16-bit floats without tensor cores, as measured",
          [](F f) { return cell(f.card->speeds.fp16_flops); }},
    Field{"fp8", flops, card, "dense speed with 8-bit numbers, from the catalog",
          [](F f) { return flops_of(f, &CardModel::fp8_gflops); }},
    Field{"tpp", number, card, "total processing performance as export rules count it, from the catalog",
          [](F f) { return from_catalog(f, [](const CardModel& m) { return Cell(m.tpp); }); }},
    Field{"tdp", number, card, "the power limit that the model is sold with, in watts, from the catalog",
          [](F f) { return from_catalog(f, [](const CardModel& m) { return cell(m.tdp_watts); }); }},
    Field{"measured_at", time, card, "when memory, bandwidth and speed were measured",
          [](F f) { return cell(f.card->measured_at); }},
    Field{"card_verification", text, card,
          "the card is unverified, verified or refused, says its host's agent",
          [](F f) { return cell(f.card->verdict.verification); }},
    Field{"verified_at", time, card, "when the card last passed, or was refused",
          [](F f) { return cell(f.card->verdict.verified_at); }},
    Field{"free", boolean, card, "nobody holds the card, and its host has it",
          [](F f) { return cell(f.card->is_free()); }},
    Field{"free_thousandths", number, card,
          "what of the card could still be leased, in thousandths; a part of it only where parts are given",
          [](F f) { return cell(std::int64_t{f.card->free_thousandths()}); }},
    Field{"card", text, card, "the card's id", [](F f) { return cell(f.card->id.text()); }},
    // The host.
    Field{"country", text, offer, "where the host stands, as ISO 3166-1 alpha-2",
          [](F f) { return cell(f.host.country); }},
    Field{"verification", text, offer,
          "the host is verified when all its cards are, refused when one is, else unverified",
          [](F f) { return cell(f.host.verification); }},
    Field{"runtime", text, offer, "what isolates the containers: runc, crun, runsc or kata",
          [](F f) { return cell(f.host.runtime); }},
    Field{"cpu_cores", number, offer, "processor cores of the host",
          [](F f) { return cell(std::int64_t{f.host.cpu_cores}); }},
    Field{"ram", bytes, offer, "main memory of the host", [](F f) { return cell(f.host.memory_bytes); }},
    Field{"cpu_architecture", text, offer, "the host's processor architecture, like x86_64 or aarch64",
          [](F f) { return cell(f.host.cpu_architecture); }},
    Field{"disk", bytes, offer, "size of the file system that jobs work on",
          [](F f) { return cell(f.host.disk_bytes); }},
    Field{"cpu_model", text, offer, "the processor's name as the kernel gives it",
          [](F f) { return cell(f.host.details.cpu_model); }},
    Field{"cpu_clock", number, offer, "the most that a core reaches, in MHz",
          [](F f) { return cell(f.host.details.cpu_clock_mhz); }},
    Field{"disk_write", bytes_per_s, offer, "writing to that file system, as measured",
          [](F f) { return cell(f.host.details.disk_write_bytes_per_s); }},
    Field{"disk_read", bytes_per_s, offer, "reading from it, as measured",
          [](F f) { return cell(f.host.details.disk_read_bytes_per_s); }},
    Field{"network_up", bytes_per_s, offer,
          "from the host to a server of this market, as the agent measured it: at least so much, and "
          "nothing is said of other ways",
          [](F f) { return cell(f.host.details.network_up_bytes_per_s); }},
    Field{"network_down", bytes_per_s, offer, "from that server to the host, measured alike",
          [](F f) { return cell(f.host.details.network_down_bytes_per_s); }},
    Field{"address_since", time, offer,
          "since when the host's heartbeats have come from one public address, as the server saw it and "
          "nobody promised; unknown: its address is not a public one, or not to be seen",
          [](F f) { return cell(f.host.address_since); }},
    Field{"rack", text, offer, "the rack that the host stands in, as its seller names it",
          [](F f) { return cell(f.host.details.rack); }},
    Field{"guest_network", text, offer, "what a job reaches: none, or internet",
          [](F f) { return f.host.details.guest_network ? cell(*f.host.details.guest_network) : Cell(); }},
    Field{"gang_network", boolean, offer,
          "the containers of a job over several hosts can have a private network here",
          [](F f) { return f.host.details.gang_network ? cell(*f.host.details.gang_network) : Cell(); }},
    Field{"public_ports", number, offer,
          "ports of a guest that the internet reaches: 0 everywhere, a renter comes in through a tunnel",
          [](F) { return Cell(std::int64_t{0}); }},
    Field{"working_storage", text, offer,
          "what becomes of it after a lease: encrypted (its key is gone), wiped, or it lay in memory",
          [](F f) {
              return f.host.details.working_storage ? cell(*f.host.details.working_storage) : Cell();
          }},
    Field{"reliability", number, offer,
          "the part of its lease time that the host delivered, in millionths; see "
          "server/market/reliability.hpp",
          [](F f) { return Cell(reliability_ppm(f.host.record)); }},
    Field{"online", boolean, offer, "the host is online and heard",
          [](F f) { return cell(f.host.state == HostState::online && !f.host.unreachable_since); }},
    Field{"host", text, offer, "the host's id", [](F f) { return cell(f.host.id.text()); }},
    // The listing.
    Field{"price", price, offer, "the ask for a whole card and an hour",
          [](F f) { return cell(f.listing.ask.micros_per_hour); }},
    Field{"spot_floor", price, offer, "the lowest bid that the listing takes for a card and an hour",
          [](F f) { return f.listing.spot_floor ? Cell(f.listing.spot_floor->micros_per_hour) : Cell(); }},
    Field{
        "spot_price", price, card,
        "the price of the card's spot pool at the moment; unknown: the listing takes no bids, or the pool "
        "has no price",
        spot_price_of},
    Field{"storage_price", money, offer, "of a GiB of working storage for a month of 730 hours",
          [](F f) { return Cell(f.listing.storage_price.count); }},
    Field{"price_with_100gib", price, offer, "the ask, and the storage price of 100 GiB, for an hour",
          [](F f) { return price_with_storage(f, 100); }},
    Field{"price_with_1tib", price, offer, "the ask, and the storage price of 1 TiB, for an hour",
          [](F f) { return price_with_storage(f, 1024); }},
    Field{"egress_price", money, offer, "of a GiB sent to the internet; 0: as much as one likes",
          [](F f) { return Cell(f.listing.egress_price.count); }},
    Field{"ingress_price", money, offer,
          "of a GiB that comes in from the internet: 0 everywhere, it is not billed",
          [](F) { return Cell(std::int64_t{0}); }},
    Field{"price_per_tflops", price, card, "the ask for an hour of 1 TFLOPS of fp32, as measured",
          [](F f) { return price_per(f, f.card->fp32_flops, tera); }},
    Field{"price_per_gib", price, card, "the ask for an hour of 1 GiB of the card's memory",
          [](F f) { return price_per(f, f.card->vram_bytes, gibi); }},
    Field{"term_min", duration, offer, "the shortest lease",
          [](F f) { return cell(f.listing.term_min.count); }},
    Field{"term_max", duration, offer, "the longest lease",
          [](F f) { return cell(f.listing.term_max.count); }},
    Field{"notice", duration, offer, "how long a renter has after the owner reclaims a card",
          [](F f) { return cell(f.listing.reclaim_notice.count); }},
    Field{"bundle", number, offer, "the fewest cards one lease may take",
          [](F f) { return cell(std::int64_t{f.listing.bundle_min}); }},
    Field{"share_min", number, offer,
          "the smallest part of a card that is leased, in thousandths; 1000: whole cards alone",
          [](F f) { return cell(std::int64_t{f.listing.share_min}); }},
    Field{"cards", number, offer, "cards in the listing",
          [](F f) { return cell(static_cast<std::int64_t>(f.listing.cards.size())); }},
    Field{"free_cards", number, offer, "cards of the listing that nobody holds",
          [](F f) { return cell(std::int64_t{f.state.free_cards(f.listing.id)}); }},
    Field{"vram_total", bytes, offer, "memory of all cards of the listing together", vram_of_listing},
    Field{"available_from", time, offer, "from when on the listing can be leased; unknown: always",
          [](F f) { return cell(f.listing.available_from); }},
    Field{"available_until", time, offer, "until when leases may last; unknown: no end",
          [](F f) { return cell(f.listing.available_until); }},
    Field{"open_per_week", duration, offer,
          "how much of every week the listing can be leased in; 7d: there are no weekly windows",
          [](F f) { return Cell(open_per_week(f.listing.windows).count); }},
    Field{"committed_until", time, offer,
          "until when cards are taken back only for a penalty, and can be reserved; unknown: not at all",
          [](F f) { return cell(f.listing.committed_until); }},
    Field{"any_image", boolean, offer, "the seller lets every image run",
          [](F f) { return cell(f.listing.images_allowed.empty()); }},
    Field{"listed_at", time, offer, "when the listing was made",
          [](F f) { return Cell(f.listing.created_at.ms); }},
    Field{"listing", text, offer, "the listing's id", [](F f) { return cell(f.listing.id.text()); }},
    Field{"seller", text, offer, "the id of the seller's organization",
          [](F f) { return cell(f.seller.id.text()); }},
    Field{"seller_country", text, offer, "where the seller is, as ISO 3166-1 alpha-2",
          [](F f) { return cell(f.seller.country); }},
};

std::vector<std::string> words_of(std::string_view product) {
    std::vector<std::string> words(1);
    for (const char c : lower(product)) {
        const bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.';
        if (is_word)
            words.back().push_back(c);
        else if (!words.back().empty())
            words.emplace_back();
    }
    if (words.back().empty()) words.pop_back();
    return words;
}

/// Words that say who makes a card, or what kind it is, but not which.
bool is_maker(const std::string& word) {
    static constexpr std::array<std::string_view, 12> makers{
        "nvidia",   "amd",    "intel", "r",   "tm",       "geforce",
        "instinct", "radeon", "tesla", "arc", "graphics", "corporation"};
    return std::ranges::find(makers, word) != makers.end();
}

bool is_form(const std::string& word) {
    static constexpr std::array<std::string_view, 9> forms{"pcie",  "sxm",  "nvl",   "oam", "hbm2",
                                                           "hbm2e", "hbm3", "hbm3e", "ac"};
    const bool is_size = word.size() > 2 && word.ends_with("gb") && word[0] >= '0' && word[0] <= '9';
    return is_size || word.starts_with("sxm") || word == "generation" || word == "gpu" ||
           std::ranges::find(forms, word) != forms.end();
}

}  // namespace

Facts facts_of(const State& state, const Listing& listing, const Card* card) {
    return Facts{state, listing, state.at<Host>(listing.host), state.at<Organization>(listing.organization),
                 card};
}

std::span<const Field> fields() {
    return table;
}

const Field* find_field(std::string_view name) {
    static const std::map<std::string, const Field*, std::less<>> by_name = [] {
        std::map<std::string, const Field*, std::less<>> names;
        for (const Field& field : table)
            names.emplace(field.name, &field);
        return names;
    }();
    const auto found = by_name.find(lower(name));
    return found == by_name.end() ? nullptr : found->second;
}

std::vector<std::string_view> field_names() {
    std::vector<std::string_view> names;
    for (const Field& field : table)
        names.push_back(field.name);
    return names;
}

std::size_t position_of(const Field& field) {
    return static_cast<std::size_t>(&field - table.data());
}

std::string family_of(std::string_view product) {
    std::vector<std::string> words = words_of(product);
    const std::vector<std::string> all = words;
    std::erase_if(words, is_maker);
    while (words.size() > 1 && is_form(words.back()))
        words.pop_back();
    if (words.empty()) words = all;
    std::string model;
    for (const std::string& word : words) {
        const bool is_letter = word.size() == 1 && word[0] >= 'a' && word[0] <= 'z';
        if (!model.empty() && !is_letter) model.push_back('-');
        model += word;
    }
    return model;
}

}  // namespace fallow::market::search
