// Files into a job and out of it, as tar through a process in its container.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>

#include "tar_stream.hpp"
#include "tunnel.hpp"

namespace fallow::cli {
namespace {

using sdk::FrameKind;

/// "JOB:PATH", where a job's id is what an id looks like: a file may have a colon in its name.
struct RemotePath {
    std::string job_id;
    std::string folder;
    std::string name;
    bool ends_in_slash = false;
};

std::optional<RemotePath> remote_path(const std::string& text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || !text.starts_with("job_")) return std::nullopt;
    RemotePath remote{text.substr(0, colon), {}, {}, text.ends_with('/')};
    std::string path = text.substr(colon + 1);
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    if (!path.starts_with('/')) throw UsageError("a path in the job begins with /: \"" + path + "\"");
    remote.name = path.substr(path.rfind('/') + 1);
    remote.folder = path.substr(0, std::max<std::size_t>(1, path.rfind('/')));
    return remote;
}

class Pipe {
  public:
    Pipe() {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0)
            throw std::system_error(errno, std::generic_category(), "pipe");
    }
    ~Pipe() {
        close_reading();
        close_writing();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    [[nodiscard]] int reading() const { return ends_[0]; }
    [[nodiscard]] int writing() const { return ends_[1]; }
    void close_reading() { close_end(0); }
    void close_writing() { close_end(1); }

  private:
    void close_end(std::size_t which) {
        if (ends_.at(which) >= 0) ::close(std::exchange(ends_.at(which), -1));
    }
    std::array<int, 2> ends_{-1, -1};
};

/// Does its work beside the loop, and says afterwards what went wrong.
class Worker {
  public:
    template <class Work>
    explicit Worker(Work work) {
        thread_ = std::thread([this, work] {
            try {
                work();
            } catch (const std::exception& error) {
                problem_ = error.what();
            }
        });
    }
    ~Worker() { join(); }
    void join() {
        if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] const std::string& problem() const { return problem_; }

  private:
    std::string problem_;
    std::thread thread_;
};

sdk::TunnelRequest tar_request(std::vector<std::string> words, bool has_input) {
    sdk::TunnelRequest request;
    request.kind = "exec";
    request.command = std::move(words);
    request.has_input = has_input;
    return request;
}

sdk::FrameLink open_tar(Context& context, const std::string& job_id, const sdk::TunnelRequest& request) {
    try {
        return sdk::open_tunnel(http_options(context), job_id, request);
    } catch (const sdk::TunnelRefused& refused) {
        if (std::string_view(refused.what()).starts_with(sdk::tunnel_job_frozen)) throw;
        throw CommandFailed(std::string(refused.what()) +
                            " (files are copied by tar, which the image must have)");
    }
}

/// What tar has to say is on standard error by then.
void require_tar(int code) {
    if (code != 0) throw CommandFailed("tar in the job failed with exit code " + std::to_string(code));
}

void upload(Context& context, const std::filesystem::path& from, RemotePath to) {
    if (!std::filesystem::exists(std::filesystem::symlink_status(from)))
        throw CommandFailed("there is no " + from.string());
    if (to.ends_in_slash) {
        to.folder = to.folder == "/" ? "/" + to.name : to.folder + "/" + to.name;
        to.name = std::filesystem::absolute(from).lexically_normal().filename().string();
    }
    // The owner inside is whoever tar runs as: it has no right to give files away.
    sdk::FrameLink link =
        open_tar(context, to.job_id, tar_request({"tar", "-C", to.folder, "-oxf", "-"}, true));
    sdk::TunnelLoop loop(link);
    Pipe pipe;
    Worker packer([&] {
        try {
            write_tar(pipe.writing(), from, to.name);
        } catch (...) {
            pipe.close_writing();
            throw;
        }
        pipe.close_writing();
    });
    loop.source = pipe.reading();
    loop.on_source = [&link](std::string_view bytes) {
        link.send(bytes.empty() ? FrameKind::end : FrameKind::input, bytes);
    };
    loop.sinks[FrameKind::output] = {.descriptor = STDERR_FILENO};
    loop.sinks[FrameKind::errors] = {.descriptor = STDERR_FILENO};
    int code = 0;
    try {
        code = run_until_exit(loop);
    } catch (...) {
        pipe.close_reading();
        throw;
    }
    pipe.close_reading();
    packer.join();
    if (!packer.problem().empty()) throw CommandFailed(packer.problem());
    require_tar(code);
}

void download(Context& context, const RemotePath& from, const std::string& to) {
    std::filesystem::path target = to;
    if (to.ends_with('/') || std::filesystem::is_directory(target)) target /= from.name;
    if (from.name.empty()) throw UsageError("the whole root of a job cannot be copied: name a folder");
    // Before the worker changes folder.
    target = std::filesystem::absolute(target);
    sdk::FrameLink link = open_tar(context, from.job_id,
                                   tar_request({"tar", "-C", from.folder, "-cf", "-", from.name}, false));
    sdk::TunnelLoop loop(link);
    Pipe pipe;
    Worker unpacker([&] {
        try {
            read_tar(pipe.reading(), from.name, target);
        } catch (...) {
            pipe.close_reading();
            throw;
        }
        pipe.close_reading();
    });
    loop.sinks[FrameKind::output] = {.descriptor = pipe.writing(), .may_fail = true};
    loop.sinks[FrameKind::errors] = {.descriptor = STDERR_FILENO};
    int code = 0;
    try {
        code = run_until_exit(loop);
    } catch (...) {
        pipe.close_writing();
        throw;
    }
    pipe.close_writing();
    unpacker.join();
    require_tar(code);
    if (!unpacker.problem().empty()) throw CommandFailed(unpacker.problem());
}

}  // namespace

void run_copy(Context& context, const CopyArguments& arguments) {
    const auto from = remote_path(arguments.from);
    const auto to = remote_path(arguments.to);
    if (from.has_value() == to.has_value())
        throw UsageError("one of both is a path here and the other is JOB:/PATH");
    if (from) return download(context, *from, arguments.to);
    upload(context, arguments.from, *to);
}

}  // namespace fallow::cli
