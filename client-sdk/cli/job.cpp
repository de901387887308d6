#include <fallow/artifacts.hpp>
#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "job_run.hpp"
#include "telemetry.hpp"
#include "tunnel.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

constexpr const char* run_footer = R"(Exit code 0 if the job succeeded, 1 if it failed. An example:

  fallow job run --price-max 2.50 --term 1h --vram 24GiB --image busybox \
      --input data.csv --output result.txt --to out -- \
      sh -c 'wc -l </work/in/data.csv >/work/out/result.txt')";

void add_run(CLI::App& job, Context& context) {
    auto& command = *job.add_subcommand(
        "run", "Upload inputs, order cards with a job, follow its log, download its outputs");
    command.footer(run_footer);
    const auto arguments = std::make_shared<RunArguments>();
    add_job_options(command, arguments->job);
    add_demand_options(command, arguments->demand);
    command
        .add_option("--lease", arguments->lease_id,
                    "Run on this lease of yours, which has no job yet, instead of placing an order")
        ->type_name("ID");
    command.add_option("--to", arguments->folder, "The folder for the outputs")
        ->type_name("FOLDER")
        ->capture_default_str();
    command.add_flag("-d,--detach", arguments->detach, "Do not wait: print the job and leave it to itself");
    on_run(context, command, arguments, &run_job);
}

Columns<JobOutput> output_list() {
    return {
        {"path", [](const JobOutput& output) { return output.path; }},
        {"attempt", [](const JobOutput& output) { return std::to_string(output.attempt); }},
        {"bytes", [](const JobOutput& output) { return std::to_string(output.artifact.bytes); }},
        {"sha256", [](const JobOutput& output) { return output.artifact.sha256; }},
        {"artifact", [](const JobOutput& output) { return output.artifact.id; }},
        {"expires", [](const JobOutput& output) { return output.artifact.expires_at; }},
    };
}

/// The job, and how much it used of what it paid for.
void add_job_show(CLI::App& job, Context& context) {
    CLI::App& command = *job.add_subcommand("show", "Show one job, and what it used of the paid card");
    const auto id = std::make_shared<std::string>();
    add_id(command, *id, "job");
    on_run(context, command, id, [](Context& with, const std::string& job_id) {
        const Job shown = with.client().job(job_id);
        const Efficiency efficiency = with.client().job_efficiency(job_id).efficiency;
        if (with.format() == Format::json) {
            std::string json = to_json(shown);
            json.pop_back();
            return print_json(json + ",\"efficiency\":" + to_json(efficiency) + "}");
        }
        print_one(with, shown, job_fields());
        print_fields(efficiency_lines(efficiency));
    });
}

struct LogArguments {
    std::string job_id;
    Client::LogSelection selection;
    bool follow = false;
};

void print_logs(Context& context, const LogArguments& arguments) {
    if (arguments.follow) {
        const Job job = follow_job(context, arguments.job_id, true);
        Context::message(job.id + " " + job.state);
        return;
    }
    const bool json = context.format() == Format::json;
    std::string array = "[";
    const auto fetch = [&](const PageRequest& page) {
        return context.client().job_logs(arguments.job_id, arguments.selection, page);
    };
    for (const LogEntry& entry : every<LogEntry>(fetch)) {
        if (json) {
            array += (array.size() == 1 ? "" : ",") + to_json(entry);
        } else {
            print_log_entry(entry, false);
        }
    }
    if (json) print_json(array + "]");
}

void add_logs(CLI::App& job, Context& context) {
    auto& command = *job.add_subcommand(
        "logs",
        "Print what a job wrote: its stdout on stdout, its stderr on stderr (json: entries in base64)");
    const auto arguments = std::make_shared<LogArguments>();
    add_id(command, arguments->job_id, "job");
    auto* const follow = command.add_flag("-f,--follow", arguments->follow,
                                          "Stay until the job ends (json: one entry a line)");
    command.add_option("--attempt", arguments->selection.attempt, "Of this attempt")->excludes(follow);
    command.add_option("--after", arguments->selection.after_sequence, "Only after this sequence number")
        ->excludes(follow);
    on_run(context, command, arguments, &print_logs);
}

void add_outputs(CLI::App& job, Context& context) {
    auto& list = *job.add_subcommand("outputs", "List the files a job left");
    const auto id = std::make_shared<std::string>();
    add_id(list, *id, "job");
    on_run(context, list, id, [](Context& with, const std::string& job_id) {
        const ListArguments all{.all = true};
        print_list<JobOutput>(
            with, all, [&](const PageRequest&) { return with.client().job_outputs(job_id); },
            output_list());
    });

    struct DownloadArguments {
        std::string job_id;
        std::vector<std::string> paths;
        std::string folder = ".";
    };
    auto& download = *job.add_subcommand("download", "Fetch the files a job left; prints where they are");
    const auto arguments = std::make_shared<DownloadArguments>();
    add_id(download, arguments->job_id, "job");
    download.add_option("paths", arguments->paths, "Only these outputs")->type_name("PATH");
    download.add_option("--to", arguments->folder, "The folder to put them in")
        ->type_name("FOLDER")
        ->capture_default_str();
    on_run(context, download, arguments, [](Context& with, const DownloadArguments& given) {
        const auto files = download_outputs(with, given.job_id, given.folder, given.paths);
        if (with.format() == Format::json) return print_json(string_array(files));
        for (const std::string& file : files)
            print_text(file + "\n");
    });
}

Columns<Checkpoint> checkpoint_list() {
    return {
        {"number", [](const Checkpoint& checkpoint) { return std::to_string(checkpoint.number); }},
        {"attempt", [](const Checkpoint& checkpoint) { return std::to_string(checkpoint.attempt); }},
        {"bytes", [](const Checkpoint& checkpoint) { return std::to_string(checkpoint.bytes); }},
        {"entries", [](const Checkpoint& checkpoint) { return std::to_string(checkpoint.entry_count); }},
        {"saved", [](const Checkpoint& checkpoint) { return checkpoint.created_at; }},
    };
}

struct CheckpointArguments {
    std::string job_id;
    std::string folder;
    std::int64_t number = 0;
};

void show_checkpoints(Context& context, const CheckpointArguments& arguments) {
    const CheckpointList list = context.client().job_checkpoints(arguments.job_id);
    if (list.problem)
        Context::message("not saved at " + list.problem->at + ": " + printable(list.problem->text));
    if (arguments.folder.empty()) return print_rows(context, list.items, checkpoint_list());
    if (list.items.empty()) throw CommandFailed("the job has no checkpoint");
    const std::int64_t number = arguments.number == 0 ? list.items.front().number : arguments.number;
    download_checkpoint(context.client(), arguments.job_id,
                        context.client().job_checkpoint(arguments.job_id, number), arguments.folder);
    if (context.format() == Format::json) return print_json(string_array({arguments.folder}));
    print_text(arguments.folder + "\n");
}

void add_checkpoint(CLI::App& job, Context& context) {
    auto& command = *job.add_subcommand(
        "checkpoint", "List a job's checkpoints, or fetch one: kept for 72 hours after the job's end");
    const auto arguments = std::make_shared<CheckpointArguments>();
    add_id(command, arguments->job_id, "job");
    auto* const folder = command.add_option("--to", arguments->folder, "Fetch the newest into this folder")
                             ->type_name("FOLDER");
    command.add_option("--number", arguments->number, "Fetch this one, and not the newest")->needs(folder);
    on_run(context, command, arguments, &show_checkpoints);
}

}  // namespace

void add_job_commands(CLI::App& app, Context& context) {
    CLI::App& job = add_noun(app, "job", "Workloads on rented cards (renter)");
    add_run(job, context);
    add_list<Job>(job, context, "list", "List your jobs", &Client::jobs, &job_list);
    add_job_show(job, context);
    add_logs(job, context);
    add_act<Job>(job, context, "cancel", "Stop a job, and the lease it runs on", "job", &Client::cancel_job,
                 &job_fields);
    add_outputs(job, context);
    add_checkpoint(job, context);
    add_tunnel_commands(job, context);
}

}  // namespace fallow::cli
