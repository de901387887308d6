#include "bench/packing/policies.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "market/placement/index.hpp"

namespace fallow::bench {
namespace {

using placement::Room;
using placement::Task;
using placement::whole_card;

struct Score {
    double value = 0;
    std::int32_t card = 0;
};

/// The card with the least free that a share fits on, the first among equals.
std::int32_t tightest_card(const Host& host, const Task& task) {
    std::int32_t best = -1;
    for (std::size_t i = 0; i < host.cards.size(); ++i)
        if (host.cards[i] >= task.thousandths &&
            (best < 0 || host.cards[i] < host.cards[static_cast<std::size_t>(best)]))
            best = static_cast<std::int32_t>(i);
    return best;
}

/// Scans all hosts for the highest score; the first by name among equals. A score is kept until its host
/// changes, which alters no choice.
class Scanning : public Policy {
  public:
    explicit Scanning(const Scene& scene)
        : scene_(scene), kept_(scene.workload.classes.size() * scene.hosts.size()) {
        for (const Host& host : scene.hosts) {
            cpu_max_ = std::max(cpu_max_, static_cast<double>(host.empty.cpu_milli));
            memory_max_ = std::max(memory_max_, static_cast<double>(host.empty.memory));
            cards_max_ = std::max(cards_max_, static_cast<double>(host.empty.thousandths()));
        }
    }
    std::optional<Place> place(std::size_t of) override {
        const Task& task = scene_.workload.classes[of];
        std::optional<Place> best;
        double most = 0;
        for (std::size_t i = 0; i < scene_.hosts.size(); ++i) {
            const Host& host = scene_.hosts[i];
            Kept& kept = kept_[of * scene_.hosts.size() + i];
            if (kept.version != host.version) {
                kept = {host.version, fits(host.room, task), {}};
                if (kept.fits) kept.score = score(host, task);
            }
            if (!kept.fits || (best && kept.score.value <= most)) continue;
            best = Place{i, kept.score.card};
            most = kept.score.value;
        }
        return best;
    }
    void changed(std::size_t /*host*/) override {}

  protected:
    [[nodiscard]] virtual Score score(const Host& host, const Task& task) const = 0;

    const Scene scene_;
    double cpu_max_ = 1;
    double memory_max_ = 1;
    double cards_max_ = 1;

  private:
    struct Kept {
        std::uint32_t version = 0;
        bool fits = false;
        Score score;
    };
    std::vector<Kept> kept_;
};

class DotProd : public Scanning {
  public:
    using Scanning::Scanning;

  private:
    Score score(const Host& host, const Task& task) const override {
        const auto product = [](auto free, auto asked, double most) {
            return static_cast<double>(free) / most * static_cast<double>(asked) / most;
        };
        return {-product(host.room.cpu_milli, task.cpu_milli, cpu_max_) -
                    product(host.room.memory, task.memory, memory_max_) -
                    product(host.room.thousandths(), task.asked(), cards_max_),
                tightest_card(host, task)};
    }
};

class Clustering : public Scanning {
  public:
    using Scanning::Scanning;

  private:
    Score score(const Host& host, const Task& task) const override {
        return {static_cast<double>(host.of_class[cards_class(task)]), tightest_card(host, task)};
    }
};

class Packing : public Scanning {
  public:
    using Scanning::Scanning;

  private:
    Score score(const Host& host, const Task& task) const override {
        const std::int32_t card = tightest_card(host, task);
        if (task.is_share() && host.cards[static_cast<std::size_t>(card)] < whole_card)
            return {30'000.0 - host.cards[static_cast<std::size_t>(card)], card};
        const bool idle = host.room.thousandths() == host.empty.thousandths();
        return {(idle ? 10'000.0 : 20'000.0) - host.room.whole_cards, card};
    }
};

class BestFit : public Scanning {
  public:
    using Scanning::Scanning;

  private:
    Score score(const Host& host, const Task& task) const override {
        return {-static_cast<double>(host.room.cpu_milli - task.cpu_milli) / cpu_max_ -
                    static_cast<double>(host.room.memory - task.memory) / memory_max_ -
                    static_cast<double>(host.room.thousandths() - task.asked()) / cards_max_,
                tightest_card(host, task)};
    }
};

/// Fragmentation gradient descent, as published: the typical tasks are the classes that cover 95 % of the
/// whole workload, known from the start.
class Fgd : public Scanning {
  public:
    explicit Fgd(const Scene& scene) : Scanning(scene), worth_(typical(scene.workload)) {}

  private:
    static std::vector<placement::Expected> typical(const Workload& workload) {
        std::map<Task, std::int64_t> counts;
        for (const std::size_t each : workload.tasks) {
            Task task = workload.classes[each];
            task.memory = 0;
            ++counts[std::move(task)];
        }
        std::vector<placement::Expected> all;
        for (const auto& [task, count] : counts)
            all.push_back({task, count});
        // Among equally frequent ones the authors' own program keeps those that ask for more.
        const auto rank = [](const placement::Expected& each) {
            const Task& task = each.task;
            return std::make_tuple(each.weight, task.cpu_milli, task.cards == 0 ? 0 : task.thousandths,
                                   task.cards, task.kinds);
        };
        std::sort(all.begin(), all.end(),
                  [&](const auto& left, const auto& right) { return rank(left) > rank(right); });
        std::size_t covered = 0;
        std::size_t kept = 0;
        while (kept < all.size() && covered * 100 < workload.tasks.size() * 95)
            covered += static_cast<std::size_t>(all[kept++].weight);
        all.resize(kept);
        return all;
    }
    [[nodiscard]] double fragmentation(const Room& room) const {
        return static_cast<double>(room.thousandths()) -
               static_cast<double>(worth_.of(room)) / static_cast<double>(worth_.total_weight());
    }
    Score score(const Host& host, const Task& task) const override {
        const double before = fragmentation(host.room);
        const auto value = [&](std::int32_t from) {
            const double change = before - fragmentation(taken(host.room, task, from));
            return std::floor(100.0 / (1.0 + std::exp(-change / 1000.0)));
        };
        if (!task.is_share()) return {value(whole_card), 0};
        Score best{-1, -1};
        std::map<std::int32_t, double> tried;  // by the card's free thousandths
        for (std::size_t i = 0; i < host.cards.size(); ++i) {
            if (host.cards[i] < task.thousandths) continue;
            const auto [at, is_new] = tried.try_emplace(host.cards[i], 0.0);
            if (is_new) at->second = value(host.cards[i]);
            if (at->second > best.value) best = {at->second, static_cast<std::int32_t>(i)};
        }
        return best;
    }

    placement::Worth worth_;
};

class Random : public Policy {
  public:
    explicit Random(const Scene& scene) : scene_(scene), random_(scene.seed + 1) {}
    std::optional<Place> place(std::size_t of) override {
        const Task& task = scene_.workload.classes[of];
        std::vector<std::size_t> fitting;
        for (std::size_t i = 0; i < scene_.hosts.size(); ++i)
            if (fits(scene_.hosts[i].room, task)) fitting.push_back(i);
        if (fitting.empty()) return std::nullopt;
        const std::size_t host = fitting[random_() % fitting.size()];
        std::vector<std::int32_t> cards;
        for (std::size_t i = 0; i < scene_.hosts[host].cards.size(); ++i)
            if (scene_.hosts[host].cards[i] >= task.thousandths)
                cards.push_back(static_cast<std::int32_t>(i));
        return Place{host, cards.empty() ? 0 : cards[random_() % cards.size()]};
    }
    void changed(std::size_t /*host*/) override {}

  private:
    const Scene scene_;
    std::mt19937_64 random_;
};

/// The server's own code. It learns from the tasks as they come, and knows none before.
class Fallow : public Policy {
  public:
    explicit Fallow(const Scene& scene) : scene_(scene) {
        for (std::size_t i = 0; i < scene.hosts.size(); ++i)
            index_.set(RawId{0, i}, scene.hosts[i].room);
    }
    std::optional<Place> place(std::size_t of) override {
        const Task& task = scene_.workload.classes[of];
        index_.learn(task);
        const auto choice = index_.choose(task);
        if (!choice) return std::nullopt;
        const auto host = static_cast<std::size_t>(choice->host.low);
        const auto& cards = scene_.hosts[host].cards;
        const auto card = std::find(cards.begin(), cards.end(), choice->from);
        return Place{host, static_cast<std::int32_t>(card - cards.begin())};
    }
    void changed(std::size_t host) override { index_.set(RawId{0, host}, scene_.hosts[host].room); }

  private:
    const Scene scene_;
    placement::Index index_;
};

template <class Made>
std::unique_ptr<Policy> make(const Scene& scene) {
    return std::make_unique<Made>(scene);
}

}  // namespace

std::size_t cards_class(const Task& task) {
    if (task.cards == 0) return 0;
    if (task.is_share()) return 1;
    return std::min<std::size_t>(cards_classes - 1, 1 + static_cast<std::size_t>(task.cards));
}

const std::vector<PolicyName>& policies() {
    static const std::vector<PolicyName> all{
        {"fallow", "the server's own module", make<Fallow>},
        {"random", "any host that fits, any card", make<Random>},
        {"dotprod", "least dot product of what is free and what is asked", make<DotProd>},
        {"clustering", "most tasks that ask for as many cards", make<Clustering>},
        {"packing", "cards in use, then hosts in use, then idle ones", make<Packing>},
        {"bestfit", "least sum of what remains, each part of the largest host's", make<BestFit>},
        {"fgd", "fragmentation gradient, truncated", make<Fgd>}};
    return all;
}

}  // namespace fallow::bench
