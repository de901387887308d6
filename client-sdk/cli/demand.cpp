#include "demand.hpp"

#include <charconv>
#include <fallow/human.hpp>
#include <filesystem>
#include <sstream>

#include "files.hpp"

namespace fallow::cli {
namespace {

void set_variable(JobSpec& spec, const std::string& text, const std::string& where) {
    const auto equals = text.find('=');
    // The text may be a secret, so the message does not repeat it.
    if (equals == 0 || equals == std::string::npos)
        throw UsageError(where + " has something that is not NAME=VALUE");
    spec.env[text.substr(0, equals)] = text.substr(equals + 1);
}

}  // namespace

DemandOptions add_requirement_options(CLI::App& command, DemandArguments& arguments) {
    NewOrder& order = arguments.order;
    Requirements& requirements = order.requirements;
    DemandOptions options{};
    options.price_max = add_money(command, "--price-max", arguments.price_max_micros,
                                  "Pay at most this per card-hour; of a spot order, the bid");
    options.term =
        add_duration(command, "--term", arguments.term_ms, "How long the cards are needed at most");
    command.add_option("--count", order.count, "How many cards, all in one host; the default is 1");
    command.add_option("--hosts", order.hosts,
                       "On how many hosts, each with so many cards, all or none; the default is 1");
    command
        .add_option(
            "--nvlink", order.nvlink,
            "Several cards of one NVLink group: prefer (the default, among equal prices) or require")
        ->check(CLI::IsMember({"prefer", "require"}));
    add_part(command, "--share", order.thousandths,
             "A part of one card, like 0.25, beside your own other shares; the default is whole cards");
    add_money(command, "--storage-max", order.storage_micros_per_gib_month_max,
              "Pay at most this per GiB-month of working storage; the default is any price");
    add_money(command, "--egress-price-max", order.egress_micros_per_gib_max,
              "Pay at most this per GiB sent out; needed with --egress, but for --quote");
    command.add_option("--product", requirements.products, "A model that will do; may be repeated")
        ->allow_extra_args(false);
    command.add_option("--device-class", requirements.device_class, "gpu, cpu or accelerator");
    add_size(command, "--vram", requirements.vram_bytes_min, "At least this much memory on a card");
    command
        .add_option("--country", requirements.countries, "A country that will do, like DE; may be repeated")
        ->allow_extra_args(false);
    command
        .add_option("--not-country", requirements.countries_excluded, "One that will not; may be repeated")
        ->allow_extra_args(false);
    command
        .add_option("--where", requirements.query,
                    "What a card must be, in the query language: see fallow search --fields")
        ->type_name("QUERY");
    command.add_option("--listing", requirements.listing_id, "Only of this listing")->type_name("ID");
    command.add_option("--host", requirements.host_id, "Only of this host")->type_name("ID");
    command.add_option("--end-use", order.end_use,
                       "What the cards are for, where a policy asks: ai_training, ai_inference, rendering, "
                       "simulation, research, military or other");
    return options;
}

namespace {

void add_traffic_options(CLI::App& command, NewOrder& order) {
    command
        .add_option("--egress", order.egress_gib,
                    "GiB that the container may send to the internet, on each host; the default is 0, with "
                    "--quote what was quoted. Where a listing takes nothing for it there is no limit")
        ->type_name("GIB");
    add_money(command, "--overage", order.overage_micros_max,
              "Beyond --egress, let it send on until that has cost this much more, on each host; the "
              "default is 0");
}

}  // namespace

void add_quote_option(CLI::App& command, DemandArguments& arguments, const DemandOptions& options) {
    command
        .add_option("--quote", arguments.quote_file,
                    "At the price of this quote, as `quote make -o json` printed it; - is stdin")
        ->type_name("FILE")
        ->excludes(options.price_max);
}

DemandOptions add_demand_options(CLI::App& command, DemandArguments& arguments) {
    NewOrder& order = arguments.order;
    const DemandOptions options = add_requirement_options(command, arguments);
    add_quote_option(command, arguments, options);
    add_traffic_options(command, order);
    command.add_flag("--spot", arguments.spot,
                     "Bid for spot cards: pay what the highest losing bid asks for, and give "
                     "way to a better one");
    command.add_flag("--fill-or-kill", order.fill_or_kill, "Refuse the order when nothing matches now");
    add_duration(command, "--expires-in", order.expires_in_ms,
                 "How long the order may stand; the default is 7d");
    return options;
}

NewOrder order_of(const DemandArguments& arguments) {
    if (!arguments.term_ms) throw UsageError("an order needs --term");
    if (!arguments.price_max_micros && arguments.quote_file.empty())
        throw UsageError("an order needs --price-max or --quote");
    NewOrder order = arguments.order;
    if (order.egress_gib.value_or(0) > 0 && !order.egress_micros_per_gib_max &&
        arguments.quote_file.empty())
        throw UsageError("--egress needs --egress-price-max or --quote");
    if (arguments.spot) order.pricing = "spot";
    order.price_max_micros_per_hour = arguments.price_max_micros;
    order.term_ms = *arguments.term_ms;
    if (!arguments.quote_file.empty())
        order.quote = from_json<SignedQuote>(read_text(arguments.quote_file));
    return order;
}

namespace {

void add_term_options(CLI::App& command, JobArguments& arguments) {
    JobSpec& spec = arguments.spec;
    command.add_option("--secret", spec.secrets, "A secret it finds as /run/secrets/NAME; may be repeated")
        ->type_name("NAME")
        ->allow_extra_args(false);
    command
        .add_option(
            "--registry-secret", spec.registry_secret,
            "The secret that the image is pulled with, USER:PASSWORD or JSON; the image then begins "
            "with its registry. The container is not given it")
        ->type_name("NAME");
    add_duration(command, "--output-interval", spec.output_interval_ms,
                 "How often its outputs are saved while it runs; the default is 10m");
    add_size(command, "--shm", spec.shm_bytes,
             "The size of /dev/shm, within the memory; the default is 64MiB");
    add_duration(command, "--pull-timeout", spec.pull_timeout_ms,
                 "Give the attempt up when its image is not there by then");
    add_duration(command, "--start-timeout", spec.start_timeout_ms,
                 "Give the attempt up when it has not started so long after that");
    command.add_option("--retry", arguments.retries,
                       "How often to try again: --attempts less one, also after a failure of its own");
    command
        .add_option("--retry-on", arguments.retry_on,
                    "The exit codes that are tried again, like 75,137; with --retry alone, all but 0")
        ->type_name("CODES");
    command
        .add_option("--health", arguments.health_command,
                    "A command for sh -c in the container; when it fails again and again, the attempt ends "
                    "as unhealthy")
        ->type_name("COMMAND");
    add_duration(command, "--health-interval", arguments.health.interval_ms,
                 "How often it is run; the default is 30s");
    add_duration(command, "--health-timeout", arguments.health.timeout_ms,
                 "How long it may take; the default is 10s");
    add_duration(command, "--health-start", arguments.health.start_period_ms,
                 "How long failures do not count after the start; the default is 0s");
    command.add_option("--health-retries", arguments.health.retries,
                       "So many failures in a row; the default is 3");
    command.add_option("--idle-below", arguments.idle_percent,
                       "End the job when it uses less than so many percent of its cards, of its cores on a "
                       "CPU device, for --idle-for");
    add_duration(command, "--idle-for", arguments.idle_ms, "See --idle-below");
    command.add_option("--restart", arguments.restarts,
                       "How often to start it again in its lease after a failure of its own: same host, "
                       "cards and /work/out, and no time billed until it runs");
    command
        .add_option("--restart-on", arguments.restart_on,
                    "The exit codes that it is started again after, like 75,137; with --restart alone, all "
                    "but 0, and not out of memory")
        ->type_name("CODES");
    add_duration(command, "--restart-delay", arguments.restart_delay_ms,
                 "How long before the first restart, doubled with each up to 5m; the default is 1s");
    command
        .add_option(
            "--network", spec.network,
            "gang: the containers of its hosts (--hosts) reach each other as rank-0, rank-1, … on an "
            "encrypted network of their own")
        ->check(CLI::IsMember({"gang"}));
}

std::int64_t exit_code_of(const char* option, const std::string& word) {
    constexpr std::int64_t code_max = 255;
    std::int64_t code = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), code);
    if (error != std::errc() || end != word.data() + word.size() || code < 1 || code > code_max)
        throw UsageError(option + (" has \"" + word) + "\", which is not an exit code from 1 to 255");
    return code;
}

/// Of "75,137".
std::vector<std::int64_t> exit_codes_of(const char* option, const std::string& text) {
    std::vector<std::int64_t> codes;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');)
        codes.push_back(exit_code_of(option, word));
    return codes;
}

void set_retry(JobSpec& spec, const JobArguments& arguments) {
    if (!arguments.retries) {
        if (!arguments.retry_on.empty()) throw UsageError("--retry-on needs --retry");
        return;
    }
    if (spec.attempts_max) throw UsageError("give either --retry or --attempts");
    spec.attempts_max = *arguments.retries + 1;
    spec.retry_exit_codes = exit_codes_of("--retry-on", arguments.retry_on);
    constexpr std::int64_t code_max = 255;
    if (arguments.retry_on.empty())
        for (std::int64_t code = 1; code <= code_max; ++code)
            spec.retry_exit_codes.push_back(code);
}

void set_restart(JobSpec& spec, const JobArguments& arguments) {
    if (!arguments.restarts) {
        if (!arguments.restart_on.empty() || arguments.restart_delay_ms)
            throw UsageError("--restart-on and --restart-delay need --restart");
        return;
    }
    spec.restart = RestartSpec{{}, *arguments.restarts, arguments.restart_delay_ms};
    if (!arguments.restart_on.empty())
        spec.restart->exit_codes = exit_codes_of("--restart-on", arguments.restart_on);
}

void set_terms(JobSpec& spec, const JobArguments& arguments) {
    set_retry(spec, arguments);
    set_restart(spec, arguments);
    const HealthSpec& health = arguments.health;
    if (!arguments.health_command.empty()) {
        spec.health = health;
        spec.health->command = {"sh", "-c", arguments.health_command};
    } else if (health.interval_ms || health.timeout_ms || health.start_period_ms || health.retries) {
        throw UsageError("--health-interval, -timeout, -start and -retries need --health");
    }
    if (arguments.idle_percent.has_value() != arguments.idle_ms.has_value())
        throw UsageError("--idle-below and --idle-for need each other");
    if (arguments.idle_percent) spec.idle = IdleSpec{*arguments.idle_percent, *arguments.idle_ms};
}

}  // namespace

void add_job_options(CLI::App& command, JobArguments& arguments) {
    JobSpec& spec = arguments.spec;
    command.add_option("--image", spec.image, "The container image");
    command.add_option("command", spec.command, "The command and its arguments, after --")->type_name("");
    command
        .add_option("--env", arguments.env,
                    "A variable of the job; may be repeated. For secrets there is "
                    "--secret")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    command.add_option("--env-file", arguments.env_file, "A file of such lines; - is stdin")
        ->type_name("FILE");
    command
        .add_option("--input", arguments.inputs,
                    "A file the job finds as /work/in/PATH; PATH is the file's name if it is left out; may "
                    "be repeated")
        ->type_name("FILE[:PATH]")
        ->allow_extra_args(false);
    command
        .add_option("--output", spec.outputs, "A file the job writes as /work/out/PATH; may be repeated")
        ->type_name("PATH")
        ->allow_extra_args(false);
    add_duration(command, "--max-duration", arguments.max_duration_ms,
                 "Stop the job after this long; the default is the term");
    command.add_option(
        "--attempts", spec.attempts_max,
        "How often to try when a host is lost or taken back; the default is 1, with --checkpoint 10");
    add_term_options(command, arguments);
    add_size(command, "--memory", spec.memory_bytes, "The default is 1GiB");
    command
        .add_option_function<std::string>(
            "--cpus",
            [&spec](const std::string& text) {
                spec.cpu_millis = parse_thousandths(text);
                if (!spec.cpu_millis)
                    throw CLI::ValidationError("--cpus", "\"" + text + "\" is not a number of cores");
            },
            "Cores, like 2 or 0.5; the default is 1")
        ->type_name("CORES");
    command.add_option("--pids", spec.pids_max, "Processes and threads at most; the default is 256");
    command
        .add_option(
            "--checkpoint", arguments.checkpoint.path,
            "A folder below /work/out that is saved while the job runs, and when it has to stop; the "
            "next attempt finds it there again")
        ->type_name("PATH");
    add_duration(command, "--checkpoint-interval", arguments.checkpoint.interval_ms,
                 "How often it is saved; the default is 5m");
    add_size(command, "--checkpoint-max", arguments.checkpoint.bytes_max,
             "What it may hold; the default is the size of the disk, at most 4GiB");
    add_size(
        command, "--disk", spec.disk_bytes,
        "Space below /work/out and /tmp, which the listing's storage price bills; the default is 1GiB");
}

JobSpec job_of(const JobArguments& arguments, std::optional<std::int64_t> term_ms) {
    if (arguments.spec.image.empty()) throw UsageError("a job needs --image");
    JobSpec spec = arguments.spec;
    const auto max_duration_ms = arguments.max_duration_ms ? arguments.max_duration_ms : term_ms;
    if (!max_duration_ms) throw UsageError("a job needs --max-duration");
    spec.max_duration_ms = *max_duration_ms;
    if (!arguments.checkpoint.path.empty())
        spec.checkpoint = arguments.checkpoint;
    else if (arguments.checkpoint.interval_ms || arguments.checkpoint.bytes_max)
        throw UsageError("--checkpoint-interval and --checkpoint-max need --checkpoint");
    set_terms(spec, arguments);
    if (!arguments.env_file.empty()) {
        std::istringstream lines(read_text(arguments.env_file));
        for (std::string line; std::getline(lines, line);)
            if (!line.empty() && line.front() != '#') set_variable(spec, line, arguments.env_file);
    }
    for (const std::string& variable : arguments.env)
        set_variable(spec, variable, "--env");
    return spec;
}

std::vector<LocalInput> inputs_of(const JobArguments& arguments) {
    std::vector<LocalInput> inputs;
    for (const std::string& text : arguments.inputs) {
        const auto colon = text.rfind(':');
        LocalInput input{text.substr(0, colon),
                         colon == std::string::npos ? std::string() : text.substr(colon + 1)};
        if (input.path.empty()) input.path = std::filesystem::path(input.file).filename().string();
        if (input.path.empty()) throw UsageError("\"" + text + "\" is not FILE or FILE:PATH");
        inputs.push_back(std::move(input));
    }
    return inputs;
}

}  // namespace fallow::cli
