// Commands and whole markets, written as one would say them: a_listing().cards(8).ask(usd(2, 50)).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "market/commands.hpp"

namespace fallow::testing {

constexpr ledger::Micros usd(std::int64_t dollars, std::int64_t cents = 0) {
    return ledger::Micros((dollars * 100 + cents) * 10'000);
}
constexpr std::int64_t gib(std::int64_t n) {
    return n * 1024 * 1024 * 1024;
}

class HostBuilder {
  public:
    HostBuilder& name(std::string value) { return set(name_, std::move(value)); }
    HostBuilder& country(std::string value) { return set(country_, std::move(value)); }
    HostBuilder& cards(int count) { return set(cards_, count); }
    HostBuilder& product(std::string value) { return set(product_, std::move(value)); }
    HostBuilder& vram(std::int64_t bytes) { return set(vram_, std::optional(bytes)); }
    HostBuilder& unmeasured() { return set(vram_, std::optional<std::int64_t>()); }
    HostBuilder& device_class(market::DeviceClass value) { return set(device_class_, value); }
    /// The NVLink group of each card, from the first; cards behind these have none.
    HostBuilder& nvlink(std::vector<std::optional<std::int32_t>> groups) {
        return set(groups_, std::move(groups));
    }
    HostBuilder& rack(std::string value) { return set(rack_, std::optional(std::move(value))); }
    HostBuilder& gang_network(bool value = true) { return set(gang_network_, std::optional(value)); }

    [[nodiscard]] market::EnrollHost enrollment(HostId id) const {
        market::EnrollHost command;
        command.host = id;
        command.name = name_;
        command.country = country_;
        command.runtime = "runc";
        command.engine = "podman 4.3";
        command.agent_version = "0.1.0";
        command.cpu_cores = 64;
        command.memory_bytes = gib(512);
        command.signing_key = "a-key";
        command.signing_key_certificate = "a-certificate";
        return command;
    }
    [[nodiscard]] market::ReportInventory inventory(Time measured_at) const {
        market::ReportInventory report;
        report.boot_id = "boot-1";
        report.agent_version = "0.1.0";
        report.runtime = "runc";
        report.engine = "podman 4.3";
        report.cpu_cores = 64;
        report.memory_bytes = gib(512);
        report.details.rack = rack_;
        report.details.gang_network = gang_network_;
        for (int i = 0; i < cards_; ++i)
            report.cards.push_back(card(i, measured_at));
        return report;
    }
    [[nodiscard]] market::ReportedCard card(int index, Time measured_at) const {
        market::ReportedCard card;
        card.index = index;
        card.uuid = "GPU-" + std::to_string(index);
        card.product = product_;
        card.vendor = "maker";
        card.device_class = device_class_;
        card.driver_version = "550.54";
        const auto place = static_cast<std::size_t>(index);
        if (place < groups_.size()) card.details.nvlink_group = groups_[place];
        if (!vram_) return card;
        card.vram_bytes = *vram_;
        card.memory_bandwidth_bytes_per_s = gib(3000);
        card.fp32_flops = 67'000'000'000'000;
        card.measured_at = measured_at;
        return card;
    }

  private:
    template <class T>
    HostBuilder& set(T& field, T value) {
        field = std::move(value);
        return *this;
    }
    std::string name_ = "host-1";
    std::string country_ = "DE";
    int cards_ = 1;
    std::string product_ = "H100";
    std::optional<std::int64_t> vram_ = gib(80);
    market::DeviceClass device_class_ = market::DeviceClass::gpu;
    std::vector<std::optional<std::int32_t>> groups_;
    std::optional<std::string> rack_;
    std::optional<bool> gang_network_;
};

class ListingBuilder {
  public:
    /// How many of the host's cards, those that are not listed yet; all by default.
    ListingBuilder& cards(int count) {
        count_ = count;
        return *this;
    }
    ListingBuilder& ask(ledger::Micros per_hour) {
        command_.ask = ledger::Price(per_hour.count);
        return *this;
    }
    ListingBuilder& floor(ledger::Micros per_hour) {
        command_.spot_floor = ledger::Price(per_hour.count);
        return *this;
    }
    ListingBuilder& storage(ledger::Micros per_gib_month) {
        command_.storage_price = per_gib_month;
        return *this;
    }
    ListingBuilder& egress(ledger::Micros per_gib) {
        command_.egress_price = per_gib;
        return *this;
    }
    ListingBuilder& terms(Millis shortest, Millis longest) {
        command_.term_min = shortest;
        command_.term_max = longest;
        return *this;
    }
    ListingBuilder& notice(Millis span) {
        command_.reclaim_notice = span;
        return *this;
    }
    ListingBuilder& bundle(std::int32_t cards) {
        command_.bundle_min = cards;
        return *this;
    }
    ListingBuilder& shares_from(std::int32_t thousandths) {
        command_.share_min = thousandths;
        return *this;
    }
    ListingBuilder& windows(std::vector<std::string> texts, std::int32_t utc_offset_minutes = 0) {
        command_.windows = std::move(texts);
        command_.windows_utc_offset_minutes = utc_offset_minutes;
        return *this;
    }
    ListingBuilder& only_for(std::vector<OrganizationId> renters) {
        command_.renters_allowed = std::move(renters);
        return *this;
    }
    ListingBuilder& not_for(std::vector<OrganizationId> renters) {
        command_.renters_blocked = std::move(renters);
        return *this;
    }
    ListingBuilder& images(std::vector<std::string> entries) {
        command_.images_allowed = std::move(entries);
        return *this;
    }
    ListingBuilder& available(std::optional<Time> from, std::optional<Time> until) {
        command_.available_from = from;
        command_.available_until = until;
        return *this;
    }
    ListingBuilder& committed(Time until) {
        command_.committed_until = until;
        return *this;
    }
    [[nodiscard]] std::optional<int> count() const { return count_; }
    [[nodiscard]] market::CreateListing on(HostId host, std::vector<CardId> cards) const {
        market::CreateListing command = command_;
        command.host = host;
        command.cards = std::move(cards);
        return command;
    }

  private:
    static market::CreateListing defaults() {
        market::CreateListing command;
        command.ask = ledger::Price(usd(1).count);
        command.term_min = minutes(1);
        command.term_max = days(30);
        command.reclaim_notice = minutes(1);
        return command;
    }
    market::CreateListing command_ = defaults();
    std::optional<int> count_;
};

class ChangeBuilder {
  public:
    ChangeBuilder(ListingId listing, std::int64_t version) {
        command_.listing = listing;
        command_.version = version;
    }
    ChangeBuilder& ask(ledger::Micros per_hour) {
        command_.terms.ask = ledger::Price(per_hour.count);
        return *this;
    }
    ChangeBuilder& egress(ledger::Micros per_gib) {
        command_.terms.egress_price = per_gib;
        return *this;
    }
    ChangeBuilder& to(market::ListingState state) {
        command_.terms.state = state;
        return *this;
    }
    operator market::UpdateListing() const { return command_; }

  private:
    market::UpdateListing command_;
};

class OrderBuilder {
  public:
    OrderBuilder& cards(std::int32_t count) {
        command_.count = count;
        return *this;
    }
    OrderBuilder& hosts(std::int32_t count) {
        command_.hosts = count;
        return *this;
    }
    OrderBuilder& gang_network() {
        command_.requirements.gang_network = true;
        return *this;
    }
    OrderBuilder& linked() {
        command_.nvlink = market::NvlinkWish::require;
        return *this;
    }
    OrderBuilder& share(std::int32_t thousandths) {
        command_.thousandths = thousandths;
        return *this;
    }
    OrderBuilder& price_max(ledger::Micros per_hour) {
        command_.price_max = ledger::Price(per_hour.count);
        return *this;
    }
    OrderBuilder& bid(ledger::Micros per_hour) {
        command_.pricing = market::OrderPricing::spot;
        return price_max(per_hour);
    }
    OrderBuilder& term(Millis span) {
        command_.term = span;
        return *this;
    }
    OrderBuilder& expires_in(Millis span) {
        command_.expires_in = span;
        return *this;
    }
    OrderBuilder& fill_or_kill() {
        command_.fill_or_kill = true;
        return *this;
    }
    OrderBuilder& job(std::string image = "busybox", std::int32_t attempts_max = 1) {
        command_.job = market::JobRequest{std::move(image), hours(1), attempts_max, "{}"};
        return *this;
    }
    /// Working storage of the job, which must be there already.
    OrderBuilder& storing(std::int64_t bytes) {
        command_.job->storage_bytes = bytes;
        return *this;
    }
    OrderBuilder& storage_max(ledger::Micros per_gib_month) {
        command_.storage_price_max = per_gib_month;
        return *this;
    }
    /// So many GiB from each host, at this price for one at most.
    OrderBuilder& sending(std::int64_t gib, ledger::Micros per_gib_max) {
        command_.egress_gib = gib;
        return egress_max(per_gib_max);
    }
    OrderBuilder& egress_max(ledger::Micros per_gib) {
        command_.egress_price_max = per_gib;
        return *this;
    }
    OrderBuilder& overage(ledger::Micros amount) {
        command_.overage_max = amount;
        return *this;
    }
    OrderBuilder& product(std::string name) {
        command_.requirements.products.push_back(std::move(name));
        return *this;
    }
    OrderBuilder& device_class(market::DeviceClass value) {
        command_.requirements.device_class = value;
        return *this;
    }
    OrderBuilder& vram(std::int64_t bytes_min) {
        command_.requirements.vram_bytes_min = bytes_min;
        return *this;
    }
    OrderBuilder& in(std::string country) {
        command_.requirements.countries.push_back(std::move(country));
        return *this;
    }
    OrderBuilder& not_in(std::string country) {
        command_.requirements.countries_excluded.push_back(std::move(country));
        return *this;
    }
    OrderBuilder& on(ListingId listing) {
        command_.requirements.listing = listing;
        return *this;
    }
    OrderBuilder& on(HostId host) {
        command_.requirements.host = host;
        return *this;
    }
    operator market::PlaceOrder() const { return command_; }

  private:
    static market::PlaceOrder defaults() {
        market::PlaceOrder command;
        command.price_max = ledger::Price(usd(2).count);
        command.term = hours(10);
        command.expires_in = days(7);
        return command;
    }
    market::PlaceOrder command_ = defaults();
};

inline HostBuilder a_host() {
    return {};
}
inline ListingBuilder a_listing() {
    return {};
}
inline ChangeBuilder a_change(ListingId listing, std::int64_t version) {
    return {listing, version};
}
inline OrderBuilder an_order() {
    return {};
}

}  // namespace fallow::testing
