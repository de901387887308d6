#include "agent/owner_commands.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <thread>

#include "agent/card_probe.hpp"
#include "agent/owner_socket.hpp"
#include "agent/owner_words.hpp"

namespace fallow::agent {
namespace {

using Kind = OwnerQuestion::Kind;

constexpr auto look_again = std::chrono::milliseconds(200);
/// Beyond the end of a notice: for a kill, and for an engine that is slow.
constexpr std::int64_t wait_slack_ms = 60'000;
/// For a driver to take a dead guest's memory back.
constexpr auto driver_slack = std::chrono::seconds(30);

std::vector<CardStatus> ask(const std::string& state_folder, const OwnerQuestion& question) {
    return parse_answer(ask_agent(state_folder, encode_question(question)));
}

/// False when the owner said no.
bool confirm(const CardStatus& card, const TakeArguments& arguments) {
    const std::string cost = cost_of_taking(card, arguments.at_once);
    if (cost.empty()) return true;
    std::cerr << cost;
    if (arguments.is_confirmed) return true;
    if (::isatty(STDIN_FILENO) == 0)
        throw std::runtime_error("nobody can be asked here: give --yes to take the card all the same");
    std::cerr << "Take it? [y/N] " << std::flush;
    std::string word;
    std::getline(std::cin, word);
    return word == "y" || word == "Y" || word == "yes";
}

std::int64_t longest_notice_ms(const CardStatus& card) {
    std::int64_t longest = 0;
    for (const LeaseOnCard& lease : card.leases)
        longest = std::max(longest, lease.notice_ms);
    return longest;
}

void wait_until_free(const std::string& state_folder, const CardStatus& taken) {
    const auto deadline = std::chrono::steady_clock::now() +
                          std::chrono::milliseconds(longest_notice_ms(taken) + wait_slack_ms);
    while (!card_meant(ask(state_folder, {}), taken.uuid).is_free) {
        if (std::chrono::steady_clock::now() >= deadline)
            throw std::runtime_error(
                "the card is held for you, but it has not become free: see the agent's log");
        std::this_thread::sleep_for(look_again);
    }
}

CardProbe probe_of(const TakeArguments& arguments) {
    ProbeOptions options;
    options.nvml_library = arguments.nvml_library;
    return CardProbe(options);
}

/// The containers of its leases have ended. What they had of its memory the driver takes back by and by.
void wait_until_empty(const TakeArguments& arguments, const CardStatus& taken) {
    if (taken.backend != "nvml") return;
    std::vector<std::string> containers;
    for (const LeaseOnCard& lease : taken.leases)
        containers.push_back(lease.container_id);
    CardProbe probe = probe_of(arguments);
    const auto deadline = std::chrono::steady_clock::now() + driver_slack;
    while (true) {
        const std::vector<CardProcess> processes = probe.processes({})[taken.uuid];
        const auto guests = std::ranges::find_if(
            processes, [&](const CardProcess& process) { return is_guests(process, containers); });
        if (guests == processes.end()) return;
        if (std::chrono::steady_clock::now() >= deadline)
            throw std::runtime_error("process " + name_of(*guests) +
                                     " of a guest still has memory of the card: look at nvidia-smi, and "
                                     "reset the card if it stays");
        std::this_thread::sleep_for(look_again);
    }
}

/// The card as it was before, once it is held; nothing when the owner said no.
std::optional<CardStatus> take(const TakeArguments& arguments, bool while_i_live) {
    const CardStatus card = card_meant(ask(arguments.state_folder, {}), arguments.card);
    if (!confirm(card, arguments)) return std::nullopt;
    const OwnerQuestion question{Kind::take, card.uuid, arguments.at_once, while_i_live};
    static_cast<void>(ask(arguments.state_folder, question));
    if (arguments.waits) wait_until_free(arguments.state_folder, card);
    return card;
}

}  // namespace

int reclaim_card(const TakeArguments& arguments) {
    const auto card = take(arguments, false);
    if (!card) return 1;
    const CardStatus now = card_meant(ask(arguments.state_folder, {}), card->uuid);
    std::cout << describe({now});
    return 0;
}

int release_card(const std::string& state_folder, const std::string& card) {
    const std::string uuid = card_meant(ask(state_folder, {}), card).uuid;
    const auto cards = ask(state_folder, {Kind::release, uuid, false, false});
    std::cout << describe({card_meant(cards, uuid)});
    return 0;
}

int show_status(const TakeArguments& arguments) {
    const std::vector<CardStatus> cards = ask(arguments.state_folder, {});
    const bool are_told =
        std::ranges::any_of(cards, [](const CardStatus& card) { return card.backend == "nvml"; });
    std::cout << describe(cards, are_told ? probe_of(arguments).processes({}) : ProcessesOnCards());
    return 0;
}

int own_card(const TakeArguments& arguments, const std::vector<std::string>& command) {
    TakeArguments waiting = arguments;
    waiting.waits = true;
    const auto card = take(waiting, true);
    if (!card) return 1;
    wait_until_empty(arguments, *card);
    const CardStatus now = card_meant(ask(arguments.state_folder, {}), card->uuid);
    if (now.unscrubbed)
        std::cerr << "card " << now.index << ": " << memory_sentence(*now.unscrubbed) << std::endl;
    // The same process from here on, so that its signals, its terminal and its exit status are the
    // command's own, and the agent gives the card back when it ends, in whatever way.
    if (card->backend == "nvml") ::setenv("CUDA_VISIBLE_DEVICES", card->uuid.c_str(), 1);
    std::vector<char*> words;
    for (const std::string& word : command)
        words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::execvp(words[0], words.data());
    throw std::runtime_error(command[0] + " cannot be started: " + std::strerror(errno));
}

}  // namespace fallow::agent
