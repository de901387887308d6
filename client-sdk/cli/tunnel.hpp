// What the commands that go into a job's container share.
#pragma once

#include <fallow/tunnel.hpp>
#include <map>
#include <string>
#include <vector>

#include "context.hpp"

namespace CLI {
class App;
}

namespace fallow::cli {

/// Below `job`.
void add_tunnel_commands(CLI::App& job, Context& context);

/// Ends the program with the exit code of a process elsewhere.
class ExitStatus : public std::exception {
  public:
    explicit ExitStatus(int code) : code_(code) {}
    [[nodiscard]] int code() const { return code_; }
    [[nodiscard]] const char* what() const noexcept override { return "a process has ended"; }

  private:
    int code_;
};

/// The server and the key of the settings. UsageError without one of them.
[[nodiscard]] HttpClientOptions http_options(Context& context);

struct ExecArguments {
    std::string job_id;
    std::vector<std::string> command;
    std::vector<std::string> env;  ///< "NAME=VALUE"
    std::string folder;
    bool has_input = false;
    bool has_terminal = false;
};
void run_exec(Context& context, const ExecArguments& arguments);
void run_attach(Context& context, const std::string& job_id);

struct ForwardArguments {
    std::string job_id;
    std::string ports;  ///< "LOCAL:REMOTE" or "REMOTE"
    std::string address = "127.0.0.1";
    bool is_stdio = false;
};
void run_port_forward(Context& context, const ForwardArguments& arguments);

struct OpenArguments {
    std::string job_id;
    std::int64_t port = 0;
};
void run_open(Context& context, const OpenArguments& arguments);

struct CopyArguments {
    std::string from;
    std::string to;
};
/// One of both is "JOB:PATH".
void run_copy(Context& context, const CopyArguments& arguments);

struct SshArguments {
    std::string job_id;
    std::int64_t port = 2222;  ///< a job without capabilities cannot have 22
    std::string user;
    std::vector<std::string> words;
};
/// Becomes ssh.
void run_ssh(Context& context, const SshArguments& arguments);

/// Runs until the process at the other end has ended; its exit code.
[[nodiscard]] int run_until_exit(sdk::TunnelLoop& loop);

}  // namespace fallow::cli
