#include <fmt/format.h>

#include <fallow/human.hpp>
#include <memory>

#include "commands.hpp"
#include "files.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

Columns<Host> host_list() {
    return {
        {"id", [](const Host& host) { return host.id; }},
        {"name", [](const Host& host) { return host.name; }},
        {"state", [](const Host& host) { return host.state; }},
        {"verification", [](const Host& host) { return host.verification; }},
        {"country", [](const Host& host) { return host.country; }},
        {"runtime", [](const Host& host) { return host.runtime; }},
        {"cores", [](const Host& host) { return std::to_string(host.cpu_cores); }},
        {"memory", [](const Host& host) { return format_size(host.memory_bytes); }},
    };
}

Columns<Host> host_fields() {
    Columns<Host> fields = host_list();
    fields.push_back({"organization", [](const Host& host) { return host.organization_id; }});
    fields.push_back({"engine", [](const Host& host) { return host.engine; }});
    fields.push_back({"agent", [](const Host& host) { return host.agent_version; }});
    fields.push_back({"signing key", [](const Host& host) { return host.signing_key; }});
    fields.push_back({"processor", [](const Host& host) { return or_dash(host.cpu_model); }});
    fields.push_back({"network to the server", [](const Host& host) {
                          return host.network_speed
                                     ? fmt::format("{}/s up, {}/s down, measured at {}",
                                                   format_size(host.network_speed->up_bytes_per_s),
                                                   format_size(host.network_speed->down_bytes_per_s),
                                                   host.network_speed->measured_at)
                                     : std::string("-");
                      }});
    fields.push_back({"public address", [](const Host& host) {
                          return host.address ? *host.address + " since " + or_dash(host.address_since)
                                              : std::string("-");
                      }});
    fields.push_back({"rack", [](const Host& host) { return or_dash(host.rack); }});
    fields.push_back({"guest network", [](const Host& host) { return or_dash(host.guest_network); }});
    fields.push_back({"gang network", [](const Host& host) {
                          return host.gang_network ? std::string(*host.gang_network ? "yes" : "no")
                                                   : std::string("-");
                      }});
    fields.push_back({"working storage", [](const Host& host) { return or_dash(host.working_storage); }});
    fields.push_back({"maintenance", [](const Host& host) {
                          return host.maintenance
                                     ? fmt::format("{} to {}: {}", host.maintenance->from,
                                                   host.maintenance->until, host.maintenance->reason)
                                     : std::string("-");
                      }});
    fields.push_back({"empty since", [](const Host& host) { return or_dash(host.drained_at); }});
    fields.push_back({"reliability", [](const Host& host) {
                          return fmt::format("{}.{:04} %", host.reliability_ppm / 10'000,
                                             host.reliability_ppm % 10'000);
                      }});
    fields.push_back({"enrolled at", [](const Host& host) { return host.enrolled_at; }});
    return fields;
}

Columns<Card> card_list() {
    const auto measured = [](auto text) {
        return [text](const Card& card) { return card.capacity ? text(*card.capacity) : std::string("-"); };
    };
    return {
        {"id", [](const Card& card) { return card.id; }},
        {"index", [](const Card& card) { return std::to_string(card.index); }},
        {"product", [](const Card& card) { return card.product; }},
        {"model", [](const Card& card) { return or_dash(card.model); }},
        {"memory is", [](const Card& card) { return or_dash(card.verification_class); }},
        {"class", [](const Card& card) { return card.device_class; }},
        {"state", [](const Card& card) { return card.state; }},
        {"verification", [](const Card& card) { return card.verification.state; }},
        {"vram", measured([](const Capacity& capacity) { return format_size(capacity.vram_bytes); })},
        {"bandwidth", measured([](const Capacity& capacity) {
             return format_size(capacity.memory_bandwidth_bytes_per_s) + "/s";
         })},
        {"gflops", measured([](const Capacity& capacity) {
             return std::to_string(capacity.fp32_flops / 1'000'000'000);
         })},
        {"used", [](const Card& card) { return format_thousandths(card.used_thousandths); }},
        {"driver", [](const Card& card) { return card.driver_version; }},
        {"nvlink",
         [](const Card& card) {
             return card.nvlink_group ? std::to_string(*card.nvlink_group) : std::string("-");
         }},
        {"uuid", [](const Card& card) { return card.uuid; }},
        {"why withheld", [](const Card& card) { return or_dash(card.withheld_reason); }},
    };
}

struct TokenArguments {
    NewEnrollmentToken token;
    std::string out;
};

void create_token(Context& context, const TokenArguments& arguments) {
    const EnrollmentToken token =
        context.client().create_enrollment_token(arguments.token, context.call_options());
    if (!arguments.out.empty()) write_secret(arguments.out, token.token);
    Context::message("good for one enrolment, until " + token.expires_at);
    if (context.format() == Format::json) {
        EnrollmentToken shown = token;
        if (!arguments.out.empty()) shown.token.clear();
        print_json(to_json(shown));
    } else if (arguments.out.empty()) {
        print_text(token.token + "\n");
    }
}

/// "0.25 h"
std::string hours_of(std::int64_t ms) {
    return fmt::format("{:.2f} h", static_cast<double>(ms) / 3'600'000);
}

std::string percent_of(std::int64_t ppm) {
    return fmt::format("{}.{:04} %", ppm / 10'000, ppm % 10'000);
}

Columns<HostScore> score_fields() {
    return {
        {"host", [](const HostScore& score) { return score.host_id; }},
        {"reliability", [](const HostScore& score) { return percent_of(score.reliability_ppm); }},
    };
}

Columns<HostScore> explained_score() {
    Columns<HostScore> fields = score_fields();
    const auto add = [&](const char* name, std::int64_t HostScore::*count) {
        fields.push_back({name, [count](const HostScore& score) { return hours_of(score.*count); }});
    };
    add("delivered", &HostScore::delivered_ms);
    add("lost", &HostScore::lost_ms);
    add("reclaimed (a quarter counts)", &HostScore::reclaimed_ms);
    add("start failed", &HostScore::start_failed_ms);
    add("clipped", &HostScore::clipped_ms);
    add("failed, as it counts", &HostScore::failed_ms);
    add("assumed delivered", &HostScore::prior_delivered_ms);
    add("assumed failed", &HostScore::prior_failed_ms);
    fields.push_back({"which is", [](const HostScore& score) {
                          const std::int64_t good = score.delivered_ms + score.prior_delivered_ms;
                          const std::int64_t bad = score.failed_ms + score.prior_failed_ms;
                          return hours_of(good) + " of " + hours_of(good + bad);
                      }});
    return fields;
}

Columns<RenterFailures> failure_list() {
    return {
        {"renter", [](const RenterFailures& row) { return row.organization_id; }},
        {"failed starts", [](const RenterFailures& row) { return std::to_string(row.failed_starts); }},
        {"failed pulls", [](const RenterFailures& row) { return std::to_string(row.failed_pulls); }},
        {"last", [](const RenterFailures& row) { return row.last_at; }},
        {"last reason", [](const RenterFailures& row) { return row.last_reason; }},
    };
}

void add_failed_starts(CLI::App& host, Context& context) {
    auto& command = *host.add_subcommand(
        "failed-starts", "Say which renters' jobs did not start here in the last day, unpaid");
    const auto id = std::make_shared<std::string>();
    add_id(command, *id, "host");
    on_run(context, command, id, [](Context& with, const std::string& host_id) {
        print_rows(with, with.client().failed_starts(host_id).renters, failure_list());
    });
}

struct MaintenanceArguments {
    std::string host_id;
    Maintenance maintenance;
};

void add_maintenance(CLI::App& host, Context& context) {
    CLI::App& maintenance =
        add_noun(host, "maintenance", "Announce when a host is out of service; one time at a time");
    auto& add = *maintenance.add_subcommand(
        "add", "No lease reaches into it; those that run end a notice before, and their jobs move");
    const auto arguments = std::make_shared<MaintenanceArguments>();
    add_id(add, arguments->host_id, "host");
    add.add_option("--from", arguments->maintenance.from, "Its begin, like 2026-12-01T18:00:00.000Z")
        ->required()
        ->type_name("TIME");
    add.add_option("--until", arguments->maintenance.until, "Its end")->required()->type_name("TIME");
    add.add_option("--reason", arguments->maintenance.reason, "Why, for your own people")->required();
    on_run(context, add, arguments, [](Context& with, const MaintenanceArguments& given) {
        print_one(with,
                  with.client().add_maintenance(given.host_id, given.maintenance, with.call_options()),
                  host_fields());
    });
    auto& remove = *maintenance.add_subcommand("remove", "Take the announcement back");
    const auto id = std::make_shared<std::string>();
    add_id(remove, *id, "host");
    on_run(context, remove, id, [](Context& with, const std::string& host_id) {
        with.client().remove_maintenance(host_id);
        Context::message("the maintenance of " + host_id + " is off");
    });
}

struct ScoreArguments {
    std::string host_id;
    bool explains = false;
};

void show_score(Context& context, const ScoreArguments& arguments) {
    print_one(context, context.client().host_score(arguments.host_id),
              arguments.explains ? explained_score() : score_fields());
}

void add_score(CLI::App& host, Context& context) {
    auto& command =
        *host.add_subcommand("score", "Say how far a host can be relied on, yours or any offered");
    const auto arguments = std::make_shared<ScoreArguments>();
    command.add_option("host", arguments->host_id, "Its id")->required();
    command.add_flag("--explain", arguments->explains, "With what it follows from");
    on_run(context, command, arguments, &show_score);
}

void add_token(CLI::App& host, Context& context) {
    auto& command = *host.add_subcommand("token", "Make a one-time token to enrol a host with (valid 1h)");
    const auto arguments = std::make_shared<TokenArguments>();
    command.add_option("--name", arguments->token.name, "The host's name")->required();
    command.add_option("--country", arguments->token.country, "Where it stands, like DE")->required();
    command
        .add_option("--out", arguments->out, "Write the token to this file (mode 0600) instead of stdout")
        ->type_name("FILE");
    on_run(context, command, arguments, &create_token);
}

}  // namespace

void add_host_commands(CLI::App& app, Context& context) {
    CLI::App& host = add_noun(app, "host", "Your machines (seller)");
    add_token(host, context);
    add_list<Host>(host, context, "list", "List your hosts", &Client::hosts, &host_list);
    add_show<Host>(host, context, "host", &Client::host, &host_fields);
    add_score(host, context);
    add_failed_starts(host, context);
    add_maintenance(host, context);
    add_part_list<Card>(host, context, "cards", "List the cards of a host, as measured", "host",
                        &Client::cards, &card_list);
    add_act<Host>(host, context, "drain", "Let no new lease onto a host; running ones go on", "host",
                  &Client::drain_host, &host_fields);
    add_act<Host>(host, context, "resume", "Take a drained host back into the market", "host",
                  &Client::resume_host, &host_fields);
    add_act<Host>(host, context, "retire", "Drain a host, then take it out of the market for good", "host",
                  &Client::retire_host, &host_fields);
}

}  // namespace fallow::cli
