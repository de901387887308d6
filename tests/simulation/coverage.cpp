#include "simulation/coverage.hpp"

#include <cstdio>

namespace fallow::sim {
namespace {

const std::vector<std::string> transitions{"hosts -→enrolled",
                                           "hosts enrolled→online",
                                           "hosts online→unreachable",
                                           "hosts unreachable→online",
                                           "hosts online→draining",
                                           "hosts draining→online",
                                           "listings -→open",
                                           "listings open→paused",
                                           "listings paused→open",
                                           "listings open→withdrawn",
                                           "listings paused→withdrawn",
                                           "orders -→standing",
                                           "orders -→filled",
                                           "orders -→rejected",
                                           "orders standing→filled",
                                           "orders standing→cancelled",
                                           "orders standing→expired",
                                           "leases -→allocated",
                                           "leases allocated→preparing",
                                           "leases allocated→ended",
                                           "leases preparing→running",
                                           "leases preparing→reclaiming",
                                           "leases preparing→ended",
                                           "leases running→reclaiming",
                                           "leases running→ended",
                                           "leases reclaiming→ended",
                                           "jobs -→queued",
                                           "jobs -→assigned",
                                           "jobs queued→assigned",
                                           "jobs queued→cancelled",
                                           "jobs queued→failed",
                                           "jobs assigned→running",
                                           "jobs assigned→queued",
                                           "jobs assigned→failed",
                                           "jobs assigned→cancelled",
                                           "jobs running→succeeded",
                                           "jobs running→failed",
                                           "jobs running→cancelled",
                                           "jobs running→queued",
                                           "reservations -→booked",
                                           "reservations booked→started",
                                           "reservations booked→cancelled",
                                           "reservations booked→broken",
                                           "reservations booked→failed",
                                           "reservations booked→sold",
                                           "reservations started→ended"};

const std::vector<std::string> end_reasons{"completed",           "command_failed",
                                           "out_of_memory",       "duration_exceeded",
                                           "cancelled_by_renter", "reclaimed_by_owner",
                                           "term_reached",        "funds_exhausted",
                                           "host_lost",           "image_pull_failed",
                                           "start_failed",        "start_timeout",
                                           "policy_revoked",      "outbid",
                                           "host_maintenance",    "temporary_failure",
                                           "unhealthy",           "idle"};

const std::vector<std::string> faults{
    "host_is_cut_off",  "agent_is_killed",   "agent_hangs",        "host_reboots",       "engine_is_stuck",
    "owner_takes_card", "leader_is_killed",  "leader_hangs",       "follower_is_killed", "follower_hangs",
    "database_stalls",  "database_restarts", "constraint_refuses", "operator_freezes"};

const std::vector<std::string> phases{"allocated", "preparing", "running", "reclaiming", "ended"};

const std::vector<std::string> others{"fault owner_reclaims × allocated",
                                      "fault owner_reclaims × preparing",
                                      "fault owner_reclaims × running",
                                      "fault owner_reclaims × reclaiming",
                                      "fault commit_failed",
                                      "fault commit_unknown_applied",
                                      "fault commit_unknown_lost",
                                      "fault commit_unknown_late",
                                      "answer replayed",
                                      "answer quarantined",
                                      "order stands for want of a fit",
                                      "shares beside each other",
                                      "a gang is whole",
                                      "spot promise",
                                      "spot promise kept",
                                      "spot promise ended",
                                      "spot bid changed",
                                      "spot price changed",
                                      "reservation host_absent",
                                      "reservation used",
                                      "reservation never_used",
                                      "quoted order filled",
                                      "quoted order no_match",
                                      "quoted order quote_expired",
                                      "traffic is charged",
                                      "traffic is used up",
                                      "traffic of several attempts",
                                      "own end after several attempts"};

}  // namespace

std::vector<std::string> required_coverage() {
    std::vector<std::string> all = others;
    for (const std::string& name : transitions)
        all.push_back("transition " + name);
    for (const std::string& name : end_reasons)
        all.push_back("end " + name);
    for (const std::string& fault : faults)
        for (const std::string& phase : phases)
            all.push_back("fault " + fault + " × " + phase);
    return all;
}

std::vector<std::string> report_coverage(const Coverage& coverage) {
    for (const auto& [what, count] : coverage)
        std::printf("%10llu  %s\n", static_cast<unsigned long long>(count), what.c_str());
    std::vector<std::string> missing;
    for (const std::string& what : required_coverage())
        if (!coverage.contains(what)) missing.push_back(what);
    for (const std::string& what : missing)
        std::printf("     never  %s\n", what.c_str());
    return missing;
}

}  // namespace fallow::sim
