#include "job_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fallow/artifacts.hpp>
#include <filesystem>
#include <map>

#include "columns.hpp"
#include "progress.hpp"

namespace fallow::cli {
namespace {

void upload_inputs(Client& client, const std::vector<LocalInput>& inputs, JobSpec& spec) {
    for (const LocalInput& input : inputs) {
        ProgressLine line(input.file);
        const Artifact artifact =
            upload_file(client, input.file, input.path, [&](std::int64_t done, std::int64_t total) {
                line.show(input.file, "uploading " + input.file + ": " + amount_text(done, total));
            });
        line.hide();
        Context::message(
            fmt::format("uploaded {} as {} ({} bytes)", input.file, artifact.id, artifact.bytes));
        spec.inputs.push_back({input.path, artifact.id});
    }
}

Job place(Context& context, const NewOrder& wanted) {
    const Placement placement = context.client().place_order(wanted, context.call_options());
    const Order& order = placement.order;
    Context::message(
        fmt::format("{} is {}{}", order.id, order.state, order.reason ? ": " + *order.reason : ""));
    if (order.state == "rejected") throw CommandFailed("the order is rejected: " + rejection_of(order));
    if (!placement.job) throw CommandFailed("the order was not taken with its job");
    if (placement.lease) Context::message(placement.lease->id + " is " + placement.lease->state);
    return *placement.job;
}

Job start(Context& context, const RunArguments& arguments) {
    const bool on_lease = !arguments.lease_id.empty();
    JobSpec spec = job_of(arguments.job, on_lease ? std::nullopt : arguments.demand.term_ms);
    NewOrder order = on_lease ? NewOrder{} : order_of(arguments.demand);
    upload_inputs(context.client(), inputs_of(arguments.job), spec);
    if (on_lease) return context.client().start_job(arguments.lease_id, spec, context.call_options());
    order.job = spec;
    return place(context, order);
}

void write_all(std::FILE* stream, const std::string& octets) {
    const bool whole = std::fwrite(octets.data(), 1, octets.size(), stream) == octets.size();
    if (!whole || std::fflush(stream) != 0) throw CommandFailed("the log cannot be written out");
}

}  // namespace

void print_log_entry(const LogEntry& entry, bool all_to_stderr) {
    write_all(all_to_stderr || entry.stream == "stderr" ? stderr : stdout, log_octets(entry));
}

Job follow_job(Context& context, const std::string& job_id, bool log_is_data) {
    const bool json = context.format() == Format::json;
    ProgressWatch progress(context, job_id);
    const auto on_entry = [&](const LogEntry& entry) {
        progress.hide();
        if (json && log_is_data) {
            print_json_line(to_json(entry));
        } else {
            print_log_entry(entry, json);
        }
        return true;
    };
    Client& client = context.client();
    for (Job job = client.job(job_id);; job = client.job(job_id)) {
        // The log of a job that has not begun is followed too: the stream waits for it.
        const auto end = client.follow_job_logs(job_id, {}, on_entry);
        Job after = client.job(job_id);
        if (after.is_finished() || !end) return after;
        progress.hide();
        Context::message(fmt::format("attempt {} is over, the job is {}", after.attempts, after.state));
        system_environment().pause(1'000, {});
    }
}

std::vector<std::string> download_outputs(Context& context, const std::string& job_id,
                                          const std::string& folder, const std::vector<std::string>& only) {
    Client& client = context.client();
    std::map<std::string, JobOutput> newest;
    for (const JobOutput& output : client.job_outputs(job_id).items) {
        const bool wanted = only.empty() || std::find(only.begin(), only.end(), output.path) != only.end();
        const auto known = newest.find(output.path);
        if (wanted && (known == newest.end() || known->second.attempt < output.attempt))
            newest[output.path] = output;
    }
    for (const std::string& path : only)
        if (!newest.contains(path)) throw CommandFailed("the job has no output " + path);
    std::vector<std::string> files;
    for (const auto& [path, output] : newest) {
        const std::filesystem::path target = path_below(folder, path);
        std::filesystem::create_directories(target.parent_path());
        ProgressLine line(path);
        download_file(client, output.artifact, target, [&](std::int64_t done, std::int64_t total) {
            line.show(path, "downloading " + path + ": " + amount_text(done, total));
        });
        files.push_back(target.string());
    }
    return files;
}

void run_job(Context& context, const RunArguments& arguments) {
    const Job job = start(context, arguments);
    Context::message(job.id + " is " + job.state);
    if (arguments.detach) return print_one(context, job, job_fields());

    const Job ended = follow_job(context, job.id, false);
    for (const std::string& file : download_outputs(context, job.id, arguments.folder, {}))
        Context::message("downloaded " + file);
    if (context.format() == Format::json) print_json(to_json(ended));
    const std::string outcome =
        fmt::format("{} {}{}{}", ended.id, ended.state, ended.reason ? ": " + *ended.reason : "",
                    ended.exit_code ? fmt::format(" (exit code {})", *ended.exit_code) : "");
    if (ended.state != "succeeded") throw CommandFailed(outcome);
    Context::message(outcome);
}

}  // namespace fallow::cli
