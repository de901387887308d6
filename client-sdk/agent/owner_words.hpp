// What the owner's commands and the agent say to each other over owner.sock, and how it reads to people.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/card_processes.hpp"

namespace fallow::agent {

struct LeaseOnCard {
    std::string lease_id;
    bool runs = false;                          ///< its container is on the card now, or about to be
    std::int64_t running_ms = 0;                ///< as metered so far
    std::int64_t notice_ms = 0;                 ///< that its renter was promised
    std::int64_t price_micros_per_hour = 0;     ///< of a card
    std::int64_t thousandths = 0;               ///< of all its cards together
    std::optional<std::int64_t> paid_ahead_ms;  ///< what is held of the renter's money from now on
    std::optional<std::int64_t> term_left_ms;
    std::optional<std::int64_t> ends_in_ms;  ///< when it has been told to stop; 0: now
    std::string container_id = {};           ///< empty: it has none yet
    friend bool operator==(const LeaseOnCard&, const LeaseOnCard&) = default;
};

struct CardStatus {
    std::int64_t index = 0;
    std::string uuid;
    std::string product;
    std::string backend;
    bool is_held = false;         ///< by the owner's command
    bool until_released = false;  ///< else until the owner's process ends
    bool is_offered = true;       ///< to the market, as far as this host decides
    std::string reason;           ///< why it is not
    bool is_free = false;         ///< no container has it, and none will get it while it is held
    /// Its memory still holds what a guest left: why, as far as that is known.
    std::optional<std::string> unscrubbed = {};
    std::vector<LeaseOnCard> leases;
    friend bool operator==(const CardStatus&, const CardStatus&) = default;
};

struct OwnerQuestion {
    enum class Kind { status, take, release };
    Kind kind = Kind::status;
    std::string card;           ///< of take and release: index, uuid, or the uuid's beginning
    bool at_once = false;       ///< of take
    bool while_i_live = false;  ///< of take: until the asking process ends
    friend bool operator==(const OwnerQuestion&, const OwnerQuestion&) = default;
};

[[nodiscard]] std::string encode_question(const OwnerQuestion& question);
/// Throws std::runtime_error.
[[nodiscard]] OwnerQuestion parse_question(std::string_view line);

/// Either the cards as they are after what was asked, or a sentence that says why not.
[[nodiscard]] std::string encode_answer(const std::vector<CardStatus>& cards);
[[nodiscard]] std::string encode_refusal(const std::string& sentence);
/// Throws std::runtime_error, with the sentence of a refusal.
[[nodiscard]] std::vector<CardStatus> parse_answer(std::string_view line);

/// The one card that the words mean. Throws std::runtime_error with the remedy when it is none, or several.
[[nodiscard]] const CardStatus& card_meant(const std::vector<CardStatus>& cards, const std::string& words);

/// What taking the card costs its owner and does to the renter, for a person who is about to confirm it.
/// Empty when it costs nothing.
[[nodiscard]] std::string cost_of_taking(const CardStatus& card, bool at_once);
/// That what a guest left is still there.
[[nodiscard]] std::string memory_sentence(const std::string& problem);
/// By the uuids of cards.
using ProcessesOnCards = std::map<std::string, std::vector<CardProcess>>;

/// One line a card, one for each lease on it, and one for each process.
[[nodiscard]] std::string describe(const std::vector<CardStatus>& cards,
                                   const ProcessesOnCards& processes = {});

}  // namespace fallow::agent
