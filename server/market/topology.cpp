#include "market/topology.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace fallow::market {
namespace {

const Host& host_of(const State& state, const Member& member) {
    return state.at<Host>(state.at<Listing>(member.listing).host);
}

bool is_linked(const State& state, const Member& member) {
    const auto group = state.at<Card>(member.cards.front()).details.nvlink_group;
    return member.cards.size() > 1 && group && std::ranges::all_of(member.cards, [&](const CardId card) {
               return state.at<Card>(card).details.nvlink_group == group;
           });
}

struct Rack {
    std::set<HostId> hosts;
    std::int64_t taken = 0;
    std::size_t first = 0;
};

/// Empty: no host says where it stands.
std::string preferred_rack(const State& state, std::size_t room, const std::vector<Member>& found,
                           const std::vector<Member>& taken) {
    std::map<std::string, Rack> racks;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const Host& host = host_of(state, found[i]);
        if (!host.details.rack) continue;
        const auto [at, is_new] = racks.try_emplace(*host.details.rack);
        if (is_new) at->second.first = i;
        at->second.hosts.insert(host.id);
    }
    for (const Member& member : taken) {
        const auto& rack = host_of(state, member).details.rack;
        if (const auto at = rack ? racks.find(*rack) : racks.end(); at != racks.end()) ++at->second.taken;
    }
    const auto key = [&](const Rack& rack) {
        const auto hosts = static_cast<std::int64_t>(rack.hosts.size());
        const bool is_enough = rack.hosts.size() >= room;
        return std::tuple(!is_enough, -rack.taken, is_enough ? hosts : -hosts, rack.first);
    };
    const auto best = std::min_element(racks.begin(), racks.end(), [&](const auto& a, const auto& b) {
        return key(a.second) < key(b.second);
    });
    return best == racks.end() ? std::string() : best->first;
}

}  // namespace

std::vector<CardId> of_one_group(const State& state, const std::vector<CardId>& cards, std::size_t count) {
    std::map<std::int32_t, std::vector<CardId>> groups;
    std::map<std::int32_t, std::size_t> first;
    for (std::size_t i = 0; i < cards.size(); ++i) {
        const auto group = state.at<Card>(cards[i]).details.nvlink_group;
        if (!group) continue;
        groups[*group].push_back(cards[i]);
        first.try_emplace(*group, i);
    }
    std::vector<CardId>* best = nullptr;
    std::pair<std::size_t, std::size_t> best_key;
    for (auto& [group, members] : groups) {
        const std::pair key(members.size(), first.at(group));
        if (members.size() < count || (best != nullptr && best_key < key)) continue;
        best = &members;
        best_key = key;
    }
    if (best == nullptr) return {};
    best->resize(count);
    return std::move(*best);
}

bool has_preference(const State& state, const Order& order) {
    return (order.count > 1 && state.has_nvlink_groups()) || (order.is_gang() && state.has_racks());
}

void take_preferred(const State& state, std::size_t wanted, std::vector<Member> found,
                    std::vector<Member>& taken) {
    if (found.empty() || taken.size() >= wanted) return;
    const std::string rack =
        wanted > 1 ? preferred_rack(state, wanted - taken.size(), found, taken) : std::string();
    struct Ranked {
        bool is_elsewhere;
        bool is_apart;
        std::size_t position;
        auto operator<=>(const Ranked&) const = default;
    };
    std::vector<Ranked> ranked;
    for (std::size_t i = 0; i < found.size(); ++i)
        ranked.push_back({!rack.empty() && host_of(state, found[i]).details.rack != rack,
                          !is_linked(state, found[i]), i});
    std::vector<Ranked> sorted = ranked;
    std::sort(sorted.begin(), sorted.end());
    std::set<HostId> hosts;
    for (const Ranked& next : sorted) {
        if (taken.size() == wanted) return;
        Member& member = found[next.position];
        if (!hosts.insert(host_of(state, member).id).second) continue;
        // Of those that would have come before it, one that it has overtaken.
        const auto passed =
            std::find_if(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(next.position),
                         [&](const Ranked& other) { return next < other; });
        if (passed->position < next.position)
            member.chosen_by =
                passed->is_elsewhere != next.is_elsewhere ? ChosenBy::rack : ChosenBy::nvlink;
        taken.push_back(std::move(member));
    }
}

}  // namespace fallow::market
