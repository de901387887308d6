// fallow-agent: its command line, its log, and its end on a signal.
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/agent.hpp"
#include "agent/card_json.hpp"
#include "agent/egress.hpp"
#include "agent/enroll.hpp"
#include "agent/gang_network.hpp"
#include "agent/gpu_reading.hpp"
#include "agent/json_log.hpp"
#include "agent/owner_commands.hpp"
#include "agent/scrub_command.hpp"
#include "agent/self_test.hpp"
#include "agent/slurm_step.hpp"

namespace {

using namespace fallow::agent;

struct EnrollArguments {
    std::string url;
    std::string ca_file;
    std::string token_file = "-";
    std::string state_folder;
    std::string engine_socket = "/run/podman/podman.sock";
    std::string runtime;
};

/// The token is never an argument: arguments can be read by every user of the host.
std::string read_token(const std::string& file) {
    std::string token;
    if (file == "-") {
        std::getline(std::cin, token);
    } else {
        std::ifstream stream(file);
        if (!stream) throw std::runtime_error("the token file cannot be read: " + file);
        std::getline(stream, token);
    }
    while (!token.empty() && (token.back() == '\r' || token.back() == ' '))
        token.pop_back();
    if (token.empty()) throw std::runtime_error("there is no token in " + file);
    return token;
}

int enroll(const EnrollArguments& arguments) {
    const StateFolder state(arguments.state_folder);
    EnrollOptions options;
    options.url = arguments.url;
    options.ca_file = arguments.ca_file;
    options.token = read_token(arguments.token_file);
    describe_engine(options.host, arguments.engine_socket, arguments.runtime);
    options.host.cpu_cores = host_cpu_cores();
    options.host.memory_bytes = host_memory_bytes();
    std::cout << enroll_host(state, options) << std::endl;
    return 0;
}

int list_cards(const AgentOptions& options) {
    CardKeeper keeper({options.probe, {}, options.verify_every_ms, options.measures});
    const FoundCards found = keeper.take([](const CardFacts&) { return false; }, {});
    std::cout << encode_cards(found.cards) << std::endl;
    return found.problems.empty() ? 0 : 1;
}

int run(const AgentOptions& options) {
    // Blocked in every thread, so that the one below is the only one to take them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::stop_source stop;
    std::thread waiter([&] {
        int number = 0;
        sigwait(&signals, &number);
        stop.request_stop();
    });
    int code = 0;
    try {
        Agent agent(options);
        spdlog::info("the agent runs");
        agent.run(stop.get_token());
        spdlog::info("the agent ends; containers go on");
    } catch (const std::exception& error) {
        spdlog::critical("the agent cannot run: {}", error.what());
        code = 1;
    }
    // The thread waits for the signal in sigwait(), which takes it: nothing is terminated.
    // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread)
    if (!stop.stop_requested()) pthread_kill(waiter.native_handle(), SIGTERM);
    waiter.join();
    return code;
}

void add_enroll(CLI::App& app, EnrollArguments& arguments) {
    CLI::App* const command =
        app.add_subcommand("enroll", "Make this host part of a market, with a one-time token");
    command->add_option("--url", arguments.url, "The server, https://HOST:PORT")->required();
    command
        ->add_option("--ca", arguments.ca_file, "The server's ca.pem, the only authority that is trusted")
        ->required()
        ->check(CLI::ExistingFile);
    command
        ->add_option("--token-file", arguments.token_file,
                     "File with the enrolment token on its first line; - reads it from standard input")
        ->capture_default_str();
    command
        ->add_option("--state", arguments.state_folder,
                     "Folder for keys and leases; made if it is not there")
        ->required();
    command->add_option("--engine-socket", arguments.engine_socket, "Unix socket of Podman or Docker")
        ->capture_default_str();
    command
        ->add_option(
            "--runtime", arguments.runtime,
            "The OCI runtime that guests will run under, as for run. The engine is asked; while it "
            "does not answer nothing is said of it, and the first inventory says it")
        ->check(CLI::IsMember({"runc", "crun", "runsc", "kata"}));
}

void add_probe_options(CLI::App* command, ProbeOptions& options) {
    command
        ->add_option("--measure-bytes", options.cpu_bytes_max,
                     "How much memory of a CPU device is tried; a GPU's is always tried in full")
        ->check(CLI::Range(std::int64_t{1} << 20, std::int64_t{1} << 40))
        ->capture_default_str();
    command->add_option("--nvml-library", options.nvml_library, "NVIDIA's management library")
        ->capture_default_str();
    command->add_option("--cuda-library", options.cuda_library, "NVIDIA's CUDA driver")
        ->capture_default_str();
    command->add_option("--opencl-library", options.opencl_library, "The OpenCL library")
        ->capture_default_str();
    command->add_option("--drm-folder", options.drm_folder, "Where the kernel tells of AMD's cards")
        ->capture_default_str();
    command
        ->add_option("--rocm-library", options.rocm_library, "AMD's management library, which adds to that")
        ->capture_default_str();
}

/// What the agent asks of a child of its own, which may hang: not for people.
void add_probe(CLI::App& app, ProbeRequest& request, ProbeOptions& options) {
    CLI::App* const command = app.add_subcommand("probe", "What calls the drivers' libraries")->group("");
    command->add_option("what", request.what)
        ->required()
        ->check(CLI::IsMember({"nvml", "opencl", "amdgpu", "rocm", "verify", "scrub", "watch"}));
    command->add_option("--uuid", request.opencl_uuid);
    command->add_option("--nvml-uuid", request.nvml_uuid);
    command->add_option("--xid-uuid", request.xid_uuid);
    command->add_option("--period-ms", request.period_ms)->check(CLI::Range(100, 60'000));
    add_probe_options(command, options);
}

int probe(ProbeRequest request, const ProbeOptions& options) {
    if (request.what == "watch") return watch_gpus(options.nvml_library, request.period_ms);
    request.nvml_library = options.nvml_library;
    request.cuda_library = options.cuda_library;
    request.opencl_library = options.opencl_library;
    request.drm_folder = options.drm_folder;
    request.rocm_library = options.rocm_library;
    request.cpu_bytes_max = options.cpu_bytes_max;
    return answer_probe(request);
}

struct SelfTestArguments {
    SelfTestOptions options;
    bool as_json = false;
    bool no_measure = false;
};

void add_self_test(CLI::App& app, SelfTestArguments& arguments) {
    CLI::App* const command = app.add_subcommand(
        "self-test",
        "Say whether this host is fit to be rented out, and what to fix; 1 when something is wrong");
    command
        ->add_option("--state", arguments.options.state_folder,
                     "The agent's folder; beside a running agent its last measurements are shown")
        ->check(CLI::ExistingDirectory);
    command
        ->add_option("--engine-socket", arguments.options.engine_socket, "Unix socket of Podman or Docker")
        ->capture_default_str();
    command->add_flag("--json", arguments.as_json, "Print JSON instead of a table");
    command->add_flag("--no-measure", arguments.no_measure, "Measure no card");
    add_probe_options(command, arguments.options.probe);
}

int self_test(SelfTestArguments arguments) {
    arguments.options.measures = !arguments.no_measure;
    spdlog::set_level(spdlog::level::off);  // the table says it all
    const SelfTest test = run_self_test(arguments.options);
    std::cout << (arguments.as_json ? format_json(test) + "\n" : format_table(test)) << std::flush;
    return test.is_fine() ? 0 : 1;
}

struct RunArguments {
    AgentOptions options;
    std::string storage = "auto";
    std::string userns = "auto";
    std::int64_t verify_every_hours = 24;
    std::int64_t network_within_minutes = 60;
    bool no_measure = false;
};

void add_gang_options(CLI::App* command, AgentOptions& options) {
    command
        ->add_option("--gang-endpoint", options.gang_endpoint,
                     "Where other hosts reach this one: an address and UDP ports, one for each card, for "
                     "example 198.41.0.4:51820-51827. With it the containers of jobs over several hosts "
                     "can have a private network (WireGuard) here")
        ->type_name("ADDRESS:PORT[-PORT]")
        ->excludes(command->get_option("--slurm-partition"))
        ->check([](const std::string& text) {
            return parse_gang_endpoint(text)
                       ? std::string()
                       : std::string(
                             "give an address in figures and at most 64 UDP ports, like "
                             "198.41.0.4:51820-51827 or [2001:db8::4]:51820");
        });
    command
        ->add_option("--gang-peers", options.gang_peers,
                     "A private network in which those other hosts may be, like 10.0.0.0/8; may be "
                     "repeated. Without it they have to be at public addresses")
        ->type_name("NETWORK")
        ->allow_extra_args(false)
        ->check([](const std::string& text) {
            const auto network = parse_destination(text);
            return network && !is_closed_for_good(*network)
                       ? std::string()
                       : std::string("give a network like 10.0.0.0/8 or fd12::/48");
        });
    command->add_flag("--gang-wireguard-go", options.gang_wireguard_go,
                      "Use wireguard-go for it although the kernel knows WireGuard");
}

void add_run(CLI::App& app, RunArguments& arguments) {
    CLI::App* const command = app.add_subcommand("run", "Run leases on this host until SIGTERM or SIGINT");
    command->add_option("--state", arguments.options.state_folder, "The folder given to enroll")
        ->required()
        ->check(CLI::ExistingDirectory);
    command
        ->add_option("--engine-socket", arguments.options.engine_socket, "Unix socket of Podman or Docker")
        ->capture_default_str();
    command
        ->add_option(
            "--runtime", arguments.options.runtime,
            "The OCI runtime that guests run under; with runsc and kata they have no network. Podman's "
            "service has one for all: another is refused. Default: Podman's, or runc with Docker")
        ->check(CLI::IsMember({"runc", "crun", "runsc", "kata"}));
    command
        ->add_option("--userns", arguments.userns,
                     "auto: a user namespace for each guest where the engine can; none: user 65534 instead")
        ->check(CLI::IsMember({"auto", "none"}))
        ->capture_default_str();
    command
        ->add_option(
            "--storage", arguments.storage,
            "Working storage of guests: loop (ext4 image), tmpfs (memory), auto: loop if it works here")
        ->check(CLI::IsMember({"auto", "loop", "tmpfs"}))
        ->capture_default_str();
    command
        ->add_option("--verify-every-hours", arguments.verify_every_hours,
                     "How often a free card has to prove again what it has")
        ->check(CLI::Range(1, 24 * 30))
        ->capture_default_str();
    CLI::Option* const policy =
        command
            ->add_option(
                "--policy", arguments.options.policy_file,
                "TOML file that says when cards are offered by themselves; README.md has its format")
            ->check(CLI::ExistingFile);
    command
        ->add_option(
            "--slurm-partition", arguments.options.slurm_partition,
            "Offer the gpu resources of this partition of Slurm's instead of this host's cards. Leases "
            "are batch jobs, whose guests run in the container engine of --engine-socket on their "
            "node; --state has to be seen by all nodes under the same path")
        ->excludes(policy);
    command->add_option("--slurm-program", arguments.options.slurm_program,
                        "This program as the nodes of the partition see it; by default its own path here");
    command
        ->add_option("--rack", arguments.options.rack,
                     "The rack that the host stands in; orders over several hosts prefer those of one")
        ->check([](const std::string& name) {
            return name.size() <= 100 ? std::string() : std::string("a rack's name has at most 100 bytes");
        });
    command
        ->add_option("--metrics", arguments.options.metrics_address,
                     "Answer GET /metrics (Prometheus, with DCGM's names) on this loopback address, for "
                     "example 127.0.0.1:9400; by default nowhere")
        ->type_name("ADDRESS:PORT");
    command
        ->add_option(
            "--measure-network-within-minutes", arguments.network_within_minutes,
            "How long after its start the way to the server is measured first, at a random moment; "
            "then once a day, while nobody rents")
        ->check(CLI::Range(0, 24 * 60))
        ->capture_default_str();
    command->add_flag("--no-measure", arguments.no_measure,
                      "List cards without measuring; they cannot be rented then");
    add_gang_options(command, arguments.options);
    add_probe_options(command, arguments.options.probe);
}

void add_scrub(CLI::App& app, std::vector<std::string>& cards, ProbeOptions& options) {
    CLI::App* const command = app.add_subcommand(
        "scrub",
        "Overwrite the memory of cards that nobody uses, and read it back; 1 when that failed. For Slurm's "
        "Epilog: fallow-agent scrub \"$SLURM_JOB_GPUS\"");
    command->add_option("cards", cards, "Their indices, uuids, or how those begin; commas may part them")
        ->required()
        ->delimiter(',');
    add_probe_options(command, options);
}

/// What a lease's batch job runs on its node: not for people.
struct StepArguments {
    std::string folder;
    bool sweeps = false;
};

void add_slurm_step(CLI::App& app, StepArguments& arguments) {
    CLI::App* const command = app.add_subcommand("slurm-step", "What Slurm's jobs run")->group("");
    command->add_option("--folder", arguments.folder)->required()->check(CLI::ExistingDirectory);
    command->add_flag("--sweep", arguments.sweeps);
}

int slurm_step(const StepArguments& arguments) {
    if (!arguments.sweeps) return run_slurm_step(arguments.folder);
    sweep_slurm_step(arguments.folder);
    return 0;
}

struct OwnerArguments {
    TakeArguments take;
    std::vector<std::string> command;
};

CLI::App* add_owner(CLI::App& app, const char* name, const char* what, OwnerArguments& arguments) {
    CLI::App* const command = app.add_subcommand(name, what);
    command->add_option("--state", arguments.take.state_folder, "The folder of the running agent")
        ->required()
        ->check(CLI::ExistingDirectory);
    command
        ->add_option("--nvml-library", arguments.take.nvml_library,
                     "NVIDIA's management library, which tells of the processes on a card")
        ->capture_default_str();
    return command;
}

void add_card(CLI::App& command, OwnerArguments& arguments) {
    command.add_option("card", arguments.take.card, "Its index, its uuid, or how that begins")->required();
}

void add_taking(CLI::App& command, OwnerArguments& arguments) {
    add_card(command, arguments);
    command.add_flag("--now", arguments.take.at_once,
                     "Kill what runs on it, without the notice of its terms");
    command.add_flag("--yes", arguments.take.is_confirmed, "Say what it costs, and do not ask");
}

void add_owners(CLI::App& app, OwnerArguments& arguments) {
    static_cast<void>(add_owner(
        app, "status", "Say who has each card of this host, and whether it is offered", arguments));
    CLI::App* const reclaim = add_owner(
        app, "reclaim",
        "Take a card back from the market. Its renter gets the notice of the listing's terms; the card "
        "is yours until you release it, also across a restart, and with the server out of reach",
        arguments);
    add_taking(*reclaim, arguments);
    reclaim->add_flag(
        "--wait", arguments.take.waits,
        "Return when nothing runs on it any more and its memory is overwritten, as far as that goes");
    CLI::App* const release = add_owner(app, "release", "Give a card that you reclaimed back", arguments);
    add_card(*release, arguments);
    CLI::App* const own = add_owner(
        app, "own",
        "Reclaim a card, wait until it is free, run a command, and give the card back when it ends: "
        "fallow-agent own --state DIR CARD -- COMMAND",
        arguments);
    add_taking(*own, arguments);
    own->add_option("command", arguments.command, "What to run, after --")->required();
}

/// Nothing when it was none of the owner's commands.
std::optional<int> run_owner(const CLI::App& app, const OwnerArguments& arguments) {
    if (app.got_subcommand("status")) return show_status(arguments.take);
    if (app.got_subcommand("reclaim")) return reclaim_card(arguments.take);
    if (app.got_subcommand("release"))
        return release_card(arguments.take.state_folder, arguments.take.card);
    if (app.got_subcommand("own")) return own_card(arguments.take, arguments.command);
    return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("fallow-agent: rents out this host's idle cards");
    app.set_version_flag("--version", std::string(agent_version));
    app.require_subcommand(1);
    std::string level = "info";
    app.add_option("--log-level", level,
                   "debug, info, warn or error; the log is JSON lines on standard error")
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
        ->capture_default_str();
    EnrollArguments enrollment;
    RunArguments running;
    add_enroll(app, enrollment);
    OwnerArguments owner;
    add_run(app, running);
    add_owners(app, owner);
    CLI::App* const cards =
        app.add_subcommand("cards", "Find and measure this host's cards, print them, and end");
    add_probe_options(cards, running.options.probe);
    SelfTestArguments tested;
    add_self_test(app, tested);
    ProbeRequest probed;
    add_probe(app, probed, running.options.probe);
    StepArguments step;
    add_slurm_step(app, step);
    std::vector<std::string> scrubbed;
    add_scrub(app, scrubbed, running.options.probe);
    CLI11_PARSE(app, argc, argv);
    log_as_json_lines(level);
    running.options.user_namespace = running.userns == "auto";
    running.options.verify_every_ms = running.verify_every_hours * 3600 * 1000;
    running.options.measures = !running.no_measure;
    running.options.network_spread_ms = running.network_within_minutes * 60 * 1000;
    if (running.options.slurm_program.empty())
        running.options.slurm_program = std::filesystem::read_symlink("/proc/self/exe").string();
    if (running.storage != "auto")
        running.options.storage = running.storage == "loop" ? StorageKind::loop : StorageKind::tmpfs;
    try {
        if (app.got_subcommand("enroll")) return enroll(enrollment);
        if (app.got_subcommand("cards")) return list_cards(running.options);
        if (app.got_subcommand("self-test")) return self_test(tested);
        if (app.got_subcommand("probe")) return probe(probed, running.options.probe);
        if (app.got_subcommand("slurm-step")) return slurm_step(step);
        if (app.got_subcommand("scrub")) return scrub_cards(running.options.probe, scrubbed);
        if (const auto status = run_owner(app, owner)) return *status;
        return run(running.options);
    } catch (const std::exception& error) {
        std::cerr << "fallow-agent: " << error.what() << std::endl;
        return 1;
    }
}
