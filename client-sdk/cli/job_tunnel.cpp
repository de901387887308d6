// Commands that go into the container of a running job.
#include <memory>

#include "commands.hpp"
#include "options.hpp"
#include "tunnel.hpp"

namespace fallow::cli {
namespace {

constexpr const char* exec_footer =
    R"(The process has the job's user, limits and environment, and no more rights than
the job. It ends with the exit code of the process; when the connection breaks the process is hung up on. Examples:

  fallow job exec -it job_… -- sh
  fallow job exec job_… -- cat /work/out/progress)";

constexpr const char* ssh_footer =
    R"(The image must have an SSH server that the job has started and that listens on
this port of its loopback. A job has no capabilities, so the server runs as the user that it lets in (USER in
the image), at a port above 1023; give it its host key as a secret, so that you know whom you talk to:

  dropbear -F -E -s -r /run/secrets/host-key -P /tmp/dropbear.pid -p 127.0.0.1:2222

The same for any program that takes a ProxyCommand:

  ssh -o ProxyCommand='fallow job port-forward --stdio job_… 2222' user@job_…
  fallow job ssh job_… -l user -- nvidia-smi)";

constexpr const char* open_footer =
    R"(The link is good for a minute, and the browser that follows it is let in for twelve hours or as long
as the API key lives: whoever has the link gets as far as you. Programs send the key instead:

  curl -H "Authorization: Bearer $KEY" https://8888-….apps.example.org/)";

void add_exec(CLI::App& job, Context& context) {
    auto& command = *job.add_subcommand("exec", "Run a further process in a job's container");
    command.footer(exec_footer);
    const auto arguments = std::make_shared<ExecArguments>();
    add_id(command, arguments->job_id, "job");
    command.add_option("command", arguments->command, "The program and its arguments, after --")
        ->required()
        ->type_name("CMD");
    command.add_flag("-i,--stdin", arguments->has_input, "Give it standard input");
    command.add_flag("-t,--tty", arguments->has_terminal, "Give it a terminal, of the size of this one");
    command.add_option("-e,--env", arguments->env, "A variable besides the job's; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    command.add_option("-w,--workdir", arguments->folder, "The folder to run in")->type_name("FOLDER");
    on_run(context, command, arguments, &run_exec);
}

void add_attach(CLI::App& job, Context& context) {
    auto& command = *job.add_subcommand(
        "attach", "Show what a job writes from now on, straight from its host, until it ends");
    const auto id = std::make_shared<std::string>();
    add_id(command, *id, "job");
    on_run(context, command, id, &run_attach);
}

void add_port_forward(CLI::App& job, Context& context) {
    auto& command =
        *job.add_subcommand("port-forward", "Make a port of the job's loopback one of this machine");
    const auto arguments = std::make_shared<ForwardArguments>();
    add_id(command, arguments->job_id, "job");
    command
        .add_option("ports", arguments->ports,
                    "LOCAL:REMOTE, or one number for both; LOCAL 0 is any free one")
        ->required()
        ->type_name("PORTS");
    command.add_option("--address", arguments->address, "The address to listen at")->capture_default_str();
    command.add_flag("--stdio", arguments->is_stdio,
                     "One connection, at standard input and output: for a ProxyCommand");
    on_run(context, command, arguments, &run_port_forward);
}

void add_open(CLI::App& job, Context& context) {
    auto& command = *job.add_subcommand(
        "open", "Print a link to the web server at a port of the job, where the server has a name for it");
    command.footer(open_footer);
    const auto arguments = std::make_shared<OpenArguments>();
    add_id(command, arguments->job_id, "job");
    command.add_option("port", arguments->port, "Where it listens on the job's loopback")
        ->required()
        ->check(CLI::Range(1, 65'535))
        ->type_name("PORT");
    on_run(context, command, arguments, &run_open);
}

void add_copy(CLI::App& job, Context& context) {
    auto& command = *job.add_subcommand(
        "cp", "Copy a file or folder into a job, or out of it, by tar, which the image must have");
    const auto arguments = std::make_shared<CopyArguments>();
    command.add_option("from", arguments->from, "A path here, or JOB:/PATH")->required()->type_name("FROM");
    command.add_option("to", arguments->to, "The other; with / at its end it is the folder to put it in")
        ->required()
        ->type_name("TO");
    on_run(context, command, arguments, &run_copy);
}

void add_ssh(CLI::App& job, Context& context) {
    auto& command = *job.add_subcommand("ssh", "Run ssh through a tunnel into a job");
    command.footer(ssh_footer);
    const auto arguments = std::make_shared<SshArguments>();
    add_id(command, arguments->job_id, "job");
    command.add_option("-p,--port", arguments->port, "Where its SSH server listens")->capture_default_str();
    command.add_option("-l,--login", arguments->user, "The user to be there")->type_name("USER");
    command.add_option("words", arguments->words, "More words for ssh, after --")->type_name("WORD");
    on_run(context, command, arguments, &run_ssh);
}

}  // namespace

void add_tunnel_commands(CLI::App& job, Context& context) {
    add_exec(job, context);
    add_attach(job, context);
    add_port_forward(job, context);
    add_open(job, context);
    add_copy(job, context);
    add_ssh(job, context);
}

}  // namespace fallow::cli
