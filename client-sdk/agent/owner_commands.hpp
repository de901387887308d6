// The owner's commands: reclaim, own, release, status. They speak to the running agent through owner.sock
// and decide nothing themselves but whether the owner has confirmed.
#pragma once

#include <string>
#include <vector>

namespace fallow::agent {

struct TakeArguments {
    std::string state_folder;
    std::string card;
    bool at_once = false;
    bool waits = false;
    bool is_confirmed = false;
    std::string nvml_library = "libnvidia-ml.so.1";
};

/// The exit status of the program: 0, or 1 when the owner said no. Each throws std::runtime_error with a
/// sentence for people.
int reclaim_card(const TakeArguments& arguments);
int release_card(const std::string& state_folder, const std::string& card);
int show_status(const TakeArguments& arguments);
/// Takes the card, waits until it is free and its driver has no process of a guest's on it any more, and
/// becomes the command: returns only when that did not work.
int own_card(const TakeArguments& arguments, const std::vector<std::string>& command);

}  // namespace fallow::agent
