#include "agent/slurm_view.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

#include "fallow/digest.hpp"

namespace fallow::agent {
namespace {

constexpr std::string_view mark_prefix = "fallow host=";
constexpr std::size_t job_fields = 10;
constexpr std::string_view gres_name = "gpu";
constexpr std::int64_t gres_count_max = 1'000'000;
/// Slurm looks at its queue once a minute, unless it is configured.
constexpr std::int64_t passed_over_ms = 70'000;

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(separator, at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\r'))
        text.remove_suffix(1);
    return text;
}

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::int64_t number_or(std::string_view text, std::int64_t otherwise) {
    return number(text).value_or(otherwise);
}

/// The value of " Name=" in a line of scontrol's, up to the next space; empty when it is not there.
std::string_view value_of(std::string_view line, std::string_view name) {
    for (std::size_t at = line.find(name); at != line.npos; at = line.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        if ((at != 0 && line[at - 1] != ' ') || end >= line.size() || line[end] != '=') continue;
        const std::string_view rest = line.substr(end + 1);
        return rest.substr(0, rest.find(' '));
    }
    return {};
}

/// Commas inside of (IDX:0,2) part nothing.
std::vector<std::string_view> gres_items(std::string_view text) {
    std::vector<std::string_view> items;
    std::size_t start = 0;
    int depth = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '(') ++depth;
        if (text[at] == ')') --depth;
        if (text[at] != ',' || depth != 0) continue;
        items.push_back(text.substr(start, at - start));
        start = at + 1;
    }
    items.push_back(text.substr(start));
    return items;
}

std::int64_t count_of(const std::vector<SlurmGres>& all, std::string_view model) {
    std::int64_t count = 0;
    for (const SlurmGres& gres : all)
        if (model.empty() || gres.model == model) count += gres.count;
    return count;
}

bool is_ours(const SlurmJob& job, const SlurmSelf& self) {
    const auto mark = parse_mark(job.comment);
    return job.uid == self.uid && mark && mark->host_id == self.host_id;
}

/// What others' jobs have of a node's cards of a model.
std::int64_t used_by_others(const SlurmNode& node, const std::string& model,
                            const std::vector<SlurmJob>& jobs, const SlurmSelf& self) {
    std::int64_t ours = 0;
    for (const SlurmJob& job : jobs)
        if (job.state != "PENDING" && job.is_active() && job.node_list == node.name && is_ours(job, self))
            ours += count_of(job.per_node, model);
    return std::max<std::int64_t>(0, node.used_of(model) - ours);
}

/// What a waiting job asks for: so many cards of a model on each of so many nodes.
struct Demand {
    std::string model;
    std::int64_t count = 1;
    std::int64_t nodes = 1;
};

/// A job without cards waits for processors or memory, which one card's lease gives back.
std::vector<Demand> demands_of(const SlurmJob& job, const std::vector<SlurmNode>& nodes) {
    std::vector<Demand> all;
    for (const SlurmGres& gres : job.per_node)
        all.push_back({gres.model, gres.count, job.nodes});
    for (const SlurmGres& gres : job.per_job) {
        std::int64_t most = 1;
        for (const SlurmNode& node : nodes)
            most = std::max(most, count_of(node.gres, gres.model));
        all.push_back({gres.model, std::min(gres.count, most), (gres.count + most - 1) / most});
    }
    if (all.empty()) all.push_back({"", 1, job.nodes});
    return all;
}

/// One round of decisions: each card is decided of once, from the last one on.
class Round {
  public:
    Round(const std::vector<SlurmPlace>& places, const std::vector<bool>& is_leased)
        : decisions(places.size()), places_(places), is_leased_(is_leased) {}

    std::vector<CardDecision> decisions;

    /// The cards of a node that nothing is decided of yet.
    [[nodiscard]] std::vector<std::size_t> left_on(const std::string& node, const std::string& model,
                                                   bool leased) const {
        std::vector<std::size_t> found;
        for (std::size_t i = places_.size(); i-- > 0;)
            if (decisions[i].is_offered && is_leased_[i] == leased && places_[i].node == node &&
                (model.empty() || places_[i].model == model))
                found.push_back(i);
        return found;
    }

    void withhold(const std::vector<std::size_t>& cards, std::int64_t count, const char* reason,
                  bool takes_back) {
        for (const std::size_t i : cards)
            if (count-- > 0)
                decisions[i] = {.is_offered = false, .reason = reason, .takes_back = takes_back};
    }

    /// Withholds what is free for it, and then clears those nodes where the fewest leases are in the way.
    /// With `is_passed_over`, Slurm has left alone what was free: it is not that which the job waits for.
    /// True when nothing was taken back.
    bool make_room(const SlurmJob& job, const Demand& demand, const std::vector<SlurmNode>& nodes,
                   bool is_passed_over) {
        struct Candidate {
            std::string node;
            std::int64_t missing;
        };
        std::vector<Candidate> candidates;
        std::int64_t wanted = demand.nodes;
        for (const SlurmNode& node : nodes) {
            if (!node.is_up() || !job.may_run_on(node.name)) continue;
            const auto free = std::ssize(left_on(node.name, demand.model, false));
            const auto leased = std::ssize(left_on(node.name, demand.model, true));
            if (free >= demand.count) {
                withhold(left_on(node.name, demand.model, false), demand.count, waits, false);
                if (!is_passed_over) --wanted;
            } else if (free + leased >= demand.count) {
                candidates.push_back({node.name, demand.count - free});
            }
            if (wanted <= 0) return true;
        }
        std::ranges::stable_sort(candidates, {}, &Candidate::missing);
        for (const Candidate& candidate : candidates) {
            if (wanted-- <= 0) break;
            withhold(left_on(candidate.node, demand.model, false), demand.count, waits, false);
            withhold(left_on(candidate.node, demand.model, true), candidate.missing, waits, true);
        }
        return candidates.empty();
    }

  private:
    static constexpr const char* waits = "a job of the cluster's waits for it";
    const std::vector<SlurmPlace>& places_;
    const std::vector<bool>& is_leased_;
};

}  // namespace

const std::string_view squeue_format =
    "JobArrayID:40|,State:20|,UserID:12|,Reason:40|,NumNodes:10|,tres-per-node:120|,tres-per-job:120|,"
    "NodeList:200|,ReqNodes:200|,Comment:200";

bool SlurmNode::is_up() const {
    // "MIXED*" does not answer; "IDLE+DRAIN", "DOWN", "IDLE+POWERED_DOWN" and the like start nothing.
    for (const char* word : {"DOWN", "DRAIN", "FAIL", "MAINT", "REBOOT", "POWER", "UNKNOWN",
                             "NOT_RESPONDING", "RESERVED", "INVAL", "FUTURE", "*"})
        if (state.find(word) != state.npos) return false;
    return !state.empty();
}

bool SlurmNode::is_in(std::string_view partition) const {
    const auto all = split(partitions, ',');
    return std::ranges::find(all, partition) != all.end();
}

std::int64_t SlurmNode::used_of(std::string_view model) const {
    return count_of(used, model);
}

bool SlurmJob::is_active() const {
    constexpr std::array<std::string_view, 9> active = {"PENDING",   "CONFIGURING", "RUNNING",
                                                        "SUSPENDED", "COMPLETING",  "SIGNALING",
                                                        "STAGE_OUT", "STOPPED",     "RESIZING"};
    return std::ranges::find(active, std::string_view(state)) != active.end();
}

bool SlurmJob::may_run_on(std::string_view node) const {
    // A list with ranges is not taken apart: then any node may be meant.
    if (required_nodes.empty() || required_nodes.find_first_of("[(") != std::string::npos) return true;
    const auto all = split(required_nodes, ',');
    return std::ranges::find(all, node) != all.end();
}

bool SlurmJob::waits_for_room() const {
    return state == "PENDING" && (reason == "Resources" || reason == "Priority");
}

std::vector<SlurmGres> parse_gres(std::string_view text) {
    std::vector<SlurmGres> all;
    for (std::string_view item : gres_items(trimmed(text))) {
        const std::size_t note = item.find('(');  // as "(IDX:0)"; "(null)" is a type that there is none of
        const bool is_untyped = note != item.npos && item.substr(note).starts_with("(null)");
        item = item.substr(0, is_untyped ? item.find('(', note + 1) : note);
        for (const std::string_view prefix : {"gres:", "gres/"})
            if (item.starts_with(prefix)) item.remove_prefix(prefix.size());
        std::vector<std::string_view> words = split(item, ':');
        if (words[0] != gres_name || words.size() > 3) continue;
        SlurmGres gres{.model = {}, .count = 1};
        words.erase(words.begin());
        if (!words.empty())
            if (const auto count = number(words.back())) {
                gres.count = std::clamp<std::int64_t>(*count, 0, gres_count_max);
                words.pop_back();
            }
        if (!words.empty()) gres.model = words.front() == "(null)" ? "" : words.front();
        if (gres.count > 0) all.push_back(std::move(gres));
    }
    return all;
}

std::vector<SlurmNode> parse_nodes(std::string_view text) {
    std::vector<SlurmNode> nodes;
    for (const std::string_view line : split(text, '\n')) {
        if (!line.starts_with("NodeName=")) continue;
        nodes.push_back({.name = std::string(value_of(line, "NodeName")),
                         .host_name = std::string(value_of(line, "NodeHostName")),
                         .state = std::string(value_of(line, "State")),
                         .partitions = std::string(value_of(line, "Partitions")),
                         .boot_time = std::string(value_of(line, "BootTime")),
                         .cpus = number_or(value_of(line, "CPUTot"), 1),
                         .memory_mib = number_or(value_of(line, "RealMemory"), 1),
                         .gres = parse_gres(value_of(line, "Gres")),
                         .used = parse_gres(value_of(line, "GresUsed"))});
    }
    return nodes;
}

std::vector<SlurmJob> parse_jobs(std::string_view text) {
    std::vector<SlurmJob> jobs;
    for (const std::string_view line : split(text, '\n')) {
        if (trimmed(line).empty()) continue;
        const std::vector<std::string_view> fields = split(line, '|');
        const auto uid = fields.size() < job_fields ? std::nullopt : number(trimmed(fields[2]));
        if (!uid) throw std::runtime_error("squeue said what cannot be read: " + std::string(line));
        const auto field = [&](std::size_t n) { return std::string(trimmed(fields[n])); };
        jobs.push_back({.id = field(0),
                        .state = field(1),
                        .uid = *uid,
                        .reason = field(3),
                        .nodes = number_or(trimmed(fields[4]), 1),
                        .node_list = field(7),
                        .per_node = parse_gres(fields[5]),
                        .per_job = parse_gres(fields[6]),
                        .required_nodes = field(8),
                        .comment = field(9)});
    }
    return jobs;
}

std::optional<SlurmTimes> parse_times(std::string_view text) {
    for (const std::string_view line : split(text, '\n')) {
        const std::string_view state = value_of(line, "JobState");
        if (!line.starts_with("JobId=") || state.empty()) continue;
        return SlurmTimes{std::string(state), number_or(value_of(line, "StartTime"), 0),
                          number_or(value_of(line, "EndTime"), 0)};
    }
    return std::nullopt;
}

std::string mark_text(const SlurmMark& mark) {
    std::string text = std::string(mark_prefix) + mark.host_id;
    if (!mark.lease_id.empty())
        text += " lease=" + mark.lease_id + " epoch=" + std::to_string(mark.lease_epoch);
    return text;
}

std::optional<SlurmMark> parse_mark(std::string_view comment) {
    if (!comment.starts_with(mark_prefix)) return std::nullopt;
    return SlurmMark{.host_id = std::string(value_of(comment, "host")),
                     .lease_id = std::string(value_of(comment, "lease")),
                     .lease_epoch = number_or(value_of(comment, "epoch"), 0)};
}

std::vector<SlurmPlace> places_of(const std::string& cluster, const std::vector<SlurmNode>& nodes) {
    std::vector<SlurmPlace> places;
    for (const SlurmNode& node : nodes) {
        if (!node.is_up()) continue;
        std::map<std::string, std::int64_t> next;
        for (const SlurmGres& gres : node.gres)
            for (std::int64_t i = 0; i < gres.count; ++i) {
                const std::int64_t index = next[gres.model]++;
                const std::string words =
                    cluster + "/" + node.name + "/gpu/" + gres.model + "/" + std::to_string(index);
                places.push_back(
                    {"SLURM-" + sdk::sha256_hex(words).substr(0, 32), node.name, gres.model, index});
            }
    }
    return places;
}

std::vector<CardDecision> decide_for_cluster(const std::vector<SlurmPlace>& places,
                                             const std::vector<bool>& is_leased,
                                             const std::vector<SlurmNode>& nodes,
                                             const std::vector<SlurmJob>& jobs, const SlurmSelf& self,
                                             ClusterHistory& history, std::int64_t now_boot_ms) {
    std::erase_if(history.room_since_boot_ms, [&](const auto& entry) {
        const auto job = std::ranges::find(jobs, entry.first, &SlurmJob::id);
        return job == jobs.end() || !job->waits_for_room();
    });
    Round round(places, is_leased);
    for (const SlurmNode& node : nodes) {
        std::vector<std::string> models;
        for (const SlurmGres& gres : node.gres)
            if (std::ranges::find(models, gres.model) == models.end()) models.push_back(gres.model);
        for (const std::string& model : models)
            round.withhold(round.left_on(node.name, model, false), used_by_others(node, model, jobs, self),
                           "a job of the cluster's has it", false);
    }
    for (const SlurmJob& job : jobs) {
        if (!job.waits_for_room() || is_ours(job, self)) continue;
        std::int64_t& since = history.room_since_boot_ms.try_emplace(job.id, now_boot_ms).first->second;
        const bool is_passed_over = now_boot_ms - since >= passed_over_ms;
        bool has_room = true;
        for (const Demand& demand : demands_of(job, nodes))
            has_room = round.make_room(job, demand, nodes, is_passed_over) && has_room;
        if (!has_room) since = now_boot_ms;
    }
    return std::move(round.decisions);
}

}  // namespace fallow::agent
