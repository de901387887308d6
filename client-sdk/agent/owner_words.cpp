#include "agent/owner_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/verification.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

__extension__ using Wide = __int128;

constexpr std::int64_t thousandths_per_card = 1000;
// As the market counts it: `fallow host score --explain` shows the sums.
constexpr std::int64_t reclaimed_ms_max = 24 * 3'600'000;
constexpr std::int64_t reclaimed_share = 4;

json number_or_null(const std::optional<std::int64_t>& value) {
    return value ? json(*value) : json(nullptr);
}

std::optional<std::int64_t> maybe_number(const json& value) {
    return value.is_null() ? std::nullopt : std::optional(value.get<std::int64_t>());
}

json lease_json(const LeaseOnCard& lease) {
    return {{"lease_id", lease.lease_id},
            {"runs", lease.runs},
            {"running_ms", lease.running_ms},
            {"notice_ms", lease.notice_ms},
            {"price_micros_per_hour", lease.price_micros_per_hour},
            {"thousandths", lease.thousandths},
            {"paid_ahead_ms", number_or_null(lease.paid_ahead_ms)},
            {"term_left_ms", number_or_null(lease.term_left_ms)},
            {"ends_in_ms", number_or_null(lease.ends_in_ms)},
            {"container_id", lease.container_id}};
}

LeaseOnCard lease_from(const json& object) {
    return {.lease_id = object.at("lease_id").get<std::string>(),
            .runs = object.at("runs").get<bool>(),
            .running_ms = object.at("running_ms").get<std::int64_t>(),
            .notice_ms = object.at("notice_ms").get<std::int64_t>(),
            .price_micros_per_hour = object.at("price_micros_per_hour").get<std::int64_t>(),
            .thousandths = object.at("thousandths").get<std::int64_t>(),
            .paid_ahead_ms = maybe_number(object.at("paid_ahead_ms")),
            .term_left_ms = maybe_number(object.at("term_left_ms")),
            .ends_in_ms = maybe_number(object.at("ends_in_ms")),
            .container_id = object.value("container_id", std::string())};
}

CardStatus card_from(const json& object) {
    CardStatus card{.index = object.at("index").get<std::int64_t>(),
                    .uuid = object.at("uuid").get<std::string>(),
                    .product = object.at("product").get<std::string>(),
                    .backend = object.at("backend").get<std::string>(),
                    .is_held = object.at("is_held").get<bool>(),
                    .until_released = object.at("until_released").get<bool>(),
                    .is_offered = object.at("is_offered").get<bool>(),
                    .reason = object.at("reason").get<std::string>(),
                    .is_free = object.at("is_free").get<bool>(),
                    .unscrubbed = {},
                    .leases = {}};
    if (const json& problem = object.at("unscrubbed"); !problem.is_null())
        card.unscrubbed = problem.get<std::string>();
    for (const json& lease : object.at("leases"))
        card.leases.push_back(lease_from(lease));
    return card;
}

/// "2 h 03 min", "59 s"
std::string span(std::int64_t ms) {
    const std::int64_t seconds = std::max<std::int64_t>(0, ms) / 1000;
    if (seconds >= 3600) return fmt::format("{} h {:02} min", seconds / 3600, seconds % 3600 / 60);
    if (seconds >= 60) return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
    return fmt::format("{} s", seconds);
}

/// What a span of the lease costs, in the market's currency; rounded down to a hundredth.
std::string money(const LeaseOnCard& lease, std::int64_t ms) {
    const auto micros = static_cast<Wide>(lease.price_micros_per_hour) * lease.thousandths * ms /
                        (thousandths_per_card * 3'600'000);
    const auto hundredths = static_cast<std::int64_t>(micros / 10'000);
    return fmt::format("{}.{:02}", hundredths / 100, hundredths % 100);
}

std::string name_of(const CardStatus& card) {
    return fmt::format("Card {}, {} ({})", card.index, card.product, card.uuid);
}

std::string line_of_lease(const LeaseOnCard& lease) {
    std::string line = "  " + lease.lease_id + ": ";
    line += lease.runs ? "has run for " + span(lease.running_ms) : std::string("does not run");
    if (lease.ends_in_ms) line += fmt::format(", ends within {}", span(*lease.ends_in_ms));
    return line + "\n";
}

/// "  process 4711 (python3) of lease_1: 4.2 GiB"
std::string line_of_process(const CardProcess& process, const std::vector<LeaseOnCard>& leases) {
    std::string line = "  process " + name_of(process);
    for (const LeaseOnCard& lease : leases)
        if (!process.container.empty() && lease.container_id == process.container)
            line += " of " + lease.lease_id;
    line +=
        ": " + (process.used_bytes ? format_bytes(*process.used_bytes) : std::string("memory not known"));
    if (!process.computes) line += ", draws only";
    return line + "\n";
}

std::string cost_of_lease(const LeaseOnCard& lease, bool at_once) {
    if (!lease.runs)
        return fmt::format(
            "  {} has not started: it ends at once, and nobody pays. A quarter of its term, of {} at "
            "most,\n    counts as failed in this host's reliability.\n",
            lease.lease_id, span(reclaimed_ms_max));
    std::string text = fmt::format("  {} has run for {}.\n", lease.lease_id, span(lease.running_ms));
    if (lease.ends_in_ms)
        text += fmt::format("    It has been told to stop already, and ends within {}.\n",
                            span(*lease.ends_in_ms));
    text += at_once ? fmt::format(
                          "    Its renter was promised {} of notice and gets none: the work since its "
                          "last checkpoint is lost.\n",
                          span(lease.notice_ms))
                    : fmt::format("    Its renter is told now and has {} to save the work.\n",
                                  span(lease.notice_ms));
    text += "    The renter pays for what has run, and nothing for the rest";
    if (lease.paid_ahead_ms)
        text += fmt::format(": {} of what is held goes back", money(lease, *lease.paid_ahead_ms));
    text += ".\n";
    if (lease.term_left_ms)
        text += fmt::format(
            "    In this host's reliability {} count as failed, a quarter of what its term has left.\n",
            span(std::min(*lease.term_left_ms, reclaimed_ms_max) / reclaimed_share));
    if (lease.term_left_ms)
        text += fmt::format("    You forgo up to {}, for the {} that its term has left.\n",
                            money(lease, *lease.term_left_ms), span(*lease.term_left_ms));
    return text +
           "    It ends as reclaimed_by_owner, which stays on this host's record. If its cards are "
           "committed,\n    the penalty is taken from your account as well (`fallow lease reclaim` "
           "tells how much).\n";
}

}  // namespace

std::string encode_question(const OwnerQuestion& question) {
    switch (question.kind) {
        case OwnerQuestion::Kind::status:
            return json{{"ask", "status"}}.dump();
        case OwnerQuestion::Kind::take:
            return json{{"ask", "take"},
                        {"card", question.card},
                        {"at_once", question.at_once},
                        {"while_i_live", question.while_i_live}}
                .dump();
        case OwnerQuestion::Kind::release:
            return json{{"ask", "release"}, {"card", question.card}}.dump();
    }
    return {};
}

OwnerQuestion parse_question(std::string_view line) {
    try {
        const json object = json::parse(line);
        const auto ask = object.at("ask").get<std::string>();
        OwnerQuestion question;
        if (ask == "status") return question;
        question.card = object.at("card").get<std::string>();
        if (ask == "release") {
            question.kind = OwnerQuestion::Kind::release;
            return question;
        }
        if (ask != "take") throw std::runtime_error("the agent does not know what \"" + ask + "\" is");
        question.kind = OwnerQuestion::Kind::take;
        question.at_once = object.at("at_once").get<bool>();
        question.while_i_live = object.at("while_i_live").get<bool>();
        return question;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("the question has not the expected form: ") + error.what());
    }
}

std::string encode_answer(const std::vector<CardStatus>& cards) {
    json array = json::array();
    for (const CardStatus& card : cards) {
        json leases = json::array();
        for (const LeaseOnCard& lease : card.leases)
            leases.push_back(lease_json(lease));
        array.push_back({{"index", card.index},
                         {"uuid", card.uuid},
                         {"product", card.product},
                         {"backend", card.backend},
                         {"is_held", card.is_held},
                         {"until_released", card.until_released},
                         {"is_offered", card.is_offered},
                         {"reason", card.reason},
                         {"is_free", card.is_free},
                         {"unscrubbed", card.unscrubbed ? json(*card.unscrubbed) : json(nullptr)},
                         {"leases", leases}});
    }
    return json{{"cards", array}}.dump();
}

std::string encode_refusal(const std::string& sentence) {
    return json{{"refused", sentence}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<CardStatus> parse_answer(std::string_view line) {
    try {
        const json object = json::parse(line);
        if (const auto refused = object.find("refused"); refused != object.end())
            throw std::runtime_error(refused->get<std::string>());
        std::vector<CardStatus> cards;
        for (const json& card : object.at("cards"))
            cards.push_back(card_from(card));
        return cards;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("the answer has not the expected form: ") + error.what());
    }
}

const CardStatus& card_meant(const std::vector<CardStatus>& cards, const std::string& words) {
    const CardStatus* found = nullptr;
    for (const CardStatus& card : cards)
        if (card.uuid == words) return card;
    for (const CardStatus& card : cards) {
        if (std::to_string(card.index) == words) return card;
        if (words.empty() || !card.uuid.starts_with(words)) continue;
        if (found != nullptr)
            throw std::runtime_error("several cards have a uuid that begins with " + words +
                                     ": give more of it");
        found = &card;
    }
    if (found == nullptr)
        throw std::runtime_error("this host has no card " + words + ": fallow-agent status lists them");
    return *found;
}

std::string cost_of_taking(const CardStatus& card, bool at_once) {
    if (card.leases.empty()) return {};
    std::string text = name_of(card) + ":\n";
    for (const LeaseOnCard& lease : card.leases)
        text += cost_of_lease(lease, at_once);
    return text;
}

std::string memory_sentence(const std::string& problem) {
    const std::string sentence = "what a guest left in its memory is not overwritten";
    return problem.empty() ? sentence : sentence + ": " + problem;
}

std::string describe(const std::vector<CardStatus>& cards, const ProcessesOnCards& processes) {
    if (cards.empty()) return "This host has no card, as far as the agent knows yet.\n";
    std::string text;
    for (const CardStatus& card : cards) {
        text += name_of(card) + ": ";
        if (card.is_held)
            text += card.until_released ? "yours until you release it" : "yours until your command ends";
        else
            text += card.is_offered ? "offered" : "kept back, " + card.reason;
        if (card.is_held && !card.is_free) text += "; not free yet";
        if (card.is_held && card.is_free && card.unscrubbed)
            text += "; " + memory_sentence(*card.unscrubbed);
        text += "\n";
        for (const LeaseOnCard& lease : card.leases)
            text += line_of_lease(lease);
        if (const auto found = processes.find(card.uuid); found != processes.end())
            for (const CardProcess& process : found->second)
                text += line_of_process(process, card.leases);
    }
    return text;
}

}  // namespace fallow::agent
