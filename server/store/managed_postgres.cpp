#include "store/managed_postgres.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "store/connection.hpp"
#include "store/process.hpp"

namespace fallow::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t socket_path_max = 107;  // sun_path, less its NUL
constexpr std::string_view socket_name = "/.s.PGSQL.5432";
constexpr Millis poll_interval(50);

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::generic_category().message(errno));
}

/// A folder of `owner` with `mode`, made when missing; refused when it is someone else's or a link.
void own_folder(const fs::path& path, const OsUser& owner, mode_t mode) {
    if (mkdir(path.c_str(), mode) == 0) {
        if (chown(path.c_str(), owner.uid, owner.gid) != 0) fail("cannot give " + path.string() + " away");
    } else if (errno != EEXIST) {
        fail("cannot make the folder " + path.string());
    }
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != owner.uid)
        throw std::runtime_error(
            fmt::format("{} must be a folder of the user {}: move it away", path.string(), owner.name));
    if (chmod(path.c_str(), mode) != 0) fail("cannot set the mode of " + path.string());
}

bool may_enter(const struct stat& folder, const OsUser& user) {
    if (folder.st_uid == user.uid) return (folder.st_mode & S_IXUSR) != 0;
    for (const gid_t group : user.groups) {
        if (folder.st_gid == group) return (folder.st_mode & S_IXGRP) != 0;
    }
    return (folder.st_mode & S_IXOTH) != 0;
}

/// PostgreSQL's user must be able to pass through every folder above the data. The nearest one, which is
/// the server's own, is opened for passing, not for listing; others are not ours to change.
void make_reachable(const fs::path& directory, const OsUser& user) {
    const fs::path nearest = directory.parent_path();
    for (fs::path at = nearest; !at.empty(); at = at.parent_path()) {
        struct stat folder {};
        if (stat(at.c_str(), &folder) != 0) fail("cannot look at " + at.string());
        if (!may_enter(folder, user)) {
            if (at != nearest || folder.st_uid != geteuid())
                throw std::runtime_error(fmt::format(
                    "the user {}, who runs PostgreSQL, cannot pass through {}: choose a folder elsewhere",
                    user.name, at.string()));
            if (chmod(at.c_str(), (folder.st_mode & 07777) | S_IXOTH) != 0)
                fail("cannot open " + at.string());
        }
        if (at == at.root_path()) break;
    }
}

std::string tail_of(const fs::path& path) {
    std::ifstream file(path, std::ios::ate);
    if (!file) return {};
    constexpr std::streamoff most = 2000;
    const std::streamoff size = file.tellg();
    file.seekg(size > most ? size - most : 0);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

void write_file(const fs::path& path, const std::string& text, const OsUser& owner) {
    std::ofstream file(path, std::ios::trunc);
    file << text;
    file.close();
    if (!file || chown(path.c_str(), owner.uid, owner.gid) != 0 || chmod(path.c_str(), 0600) != 0)
        fail("cannot write " + path.string());
}

std::string quoted(char mark, const std::string& text) {
    std::string result(1, mark);
    for (const char c : text) {
        if (c == mark || c == '\\') result.push_back(mark == '"' ? '"' : '\\');
        result.push_back(c);
    }
    result.push_back(mark);
    return result;
}

/// Lines of postmaster.pid: process id, data folder, start time, port, socket folder, …
std::vector<std::string> pid_file_lines(const fs::path& data) {
    std::vector<std::string> lines;
    std::ifstream file(data / "postmaster.pid");
    for (std::string line; std::getline(file, line);)
        lines.push_back(line);
    return lines;
}

}  // namespace

struct ManagedPostgres::State {
    ManagedPostgresSettings settings;
    OsUser user;  ///< who runs PostgreSQL
    fs::path data;
    fs::path sockets;
    fs::path startup_log;
    int lock = -1;
    pid_t process = 0;
    bool is_child = false;
    bool adopted = false;

    ~State() {
        if (lock >= 0) close(lock);
    }
    void prepare_folders();
    void take_lock();
    void initialize();
    void choose_sockets();
    void write_settings();
    bool adopt();
    void correct_pid_file() const;
    void start();
    [[nodiscard]] bool may_start_again() const;
    void wait_until_ready();
    void make_database();
    [[nodiscard]] std::string url_of(const std::string& database, const std::string& role) const;
};

void ManagedPostgres::State::prepare_folders() {
    settings.directory = fs::absolute(settings.directory).lexically_normal();
    if (!settings.directory.has_filename()) settings.directory = settings.directory.parent_path();
    user = geteuid() == 0 ? user_named("postgres") : current_user();
    fs::create_directories(settings.directory.parent_path());
    make_reachable(settings.directory, user);
    own_folder(settings.directory, user, 0700);
    data = settings.directory / "data";
    startup_log = settings.directory / "startup.log";
}

void ManagedPostgres::State::take_lock() {
    const fs::path path = settings.directory / "owner.lock";
    lock = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) fail("cannot open " + path.string());
    if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        throw std::runtime_error("another process runs the PostgreSQL of " + settings.directory.string());
}

/// Into a folder beside, renamed when complete: a folder named `data` is always whole.
void ManagedPostgres::State::initialize() {
    if (fs::exists(data / "PG_VERSION")) return;
    const fs::path fresh = settings.directory / "data.new";
    fs::remove_all(fresh);
    fs::remove(startup_log);
    const fs::path program = settings.binaries / "initdb";
    if (!fs::exists(program))
        throw std::runtime_error(program.string() + " is missing: install the package postgresql-15");
    std::vector<std::string> arguments{
        program.string(),  "--pgdata=" + fresh.string(), "--username=postgres", "--auth=peer",
        "--encoding=UTF8", "--locale=C.UTF-8",           "--data-checksums"};
    if (!settings.durable) arguments.emplace_back("--no-sync");
    const pid_t child = spawn({.arguments = arguments, .user = user, .output = startup_log});
    if (wait_for_child(child) != 0) throw std::runtime_error("initdb failed:\n" + tail_of(startup_log));
    fs::rename(fresh, data);
}

/// Beside the data where the path is short enough for a socket, else a private folder with a short name.
void ManagedPostgres::State::choose_sockets() {
    sockets = settings.directory / "socket";
    if (sockets.string().size() + socket_name.size() > socket_path_max) {
        const std::size_t digest = std::hash<std::string>{}(settings.directory.string());
        sockets = fs::temp_directory_path() / fmt::format("fallow-pg-{}-{:016x}", user.uid, digest);
    }
    own_folder(sockets, user, 0700);
}

void ManagedPostgres::State::write_settings() {
    std::string text = fmt::format(
        "# Written at every start.\n"
        "listen_addresses = ''\nport = 5432\nunix_socket_directories = {}\nunix_socket_permissions = 0700\n"
        "max_connections = 100\nshared_buffers = 128MB\nmax_wal_size = 2GB\nmin_wal_size = 1GB\n"
        // A new segment is not filled with zeros first: whoever commits into it would wait for 16 MiB to be
        // durable. What a commit has written is, with its blocks, by its own fdatasync.
        "wal_init_zero = off\n"
        "checkpoint_timeout = 15min\nwal_compression = lz4\ndefault_toast_compression = lz4\njit = off\n"
        "synchronous_commit = on\nlc_messages = 'C'\nlog_timezone = 'UTC'\ntimezone = 'UTC'\n"
        "logging_collector = on\nlog_directory = 'log'\nlog_filename = 'postgresql-%H.log'\n"
        "log_rotation_age = 1h\nlog_truncate_on_rotation = on\n"
        "log_line_prefix = '%m [%p] %q%a '\nlog_lock_waits = on\n",
        quoted('\'', sockets.string()));
    text +=
        settings.durable ? "fsync = on\nfull_page_writes = on\n" : "fsync = off\nfull_page_writes = off\n";
    write_file(data / "fallow.conf", text, user);
    write_file(data / "postgresql.conf", "include 'fallow.conf'\n", user);
    write_file(data / "pg_hba.conf", "local all all peer map=fallow\n", user);
    const std::string self = quoted('"', current_user().name);
    std::string map = fmt::format("fallow {} postgres\nfallow {} fallow\n", self, self);
    if (geteuid() != user.uid) map += "fallow postgres postgres\n";
    write_file(data / "pg_ident.conf", map, user);
}

/// Takes over the instance that a killed predecessor left running, if there is one.
bool ManagedPostgres::State::adopt() {
    const std::vector<std::string> lines = pid_file_lines(data);
    if (lines.size() < 5) return false;
    pid_t found = 0;
    const std::string& digits = lines[0];
    if (std::from_chars(digits.data(), digits.data() + digits.size(), found).ec != std::errc{} ||
        found <= 1)
        return false;
    // The number may belong to another process by now; PostgreSQL's main process works in its data folder.
    std::error_code error;
    const fs::path working = fs::read_symlink("/proc/" + std::to_string(found) + "/cwd", error);
    if (error || working != fs::canonical(data)) return false;
    process = found;
    sockets = lines[4];
    adopted = true;
    return true;
}

/// PostgreSQL refuses to start while the process id in its file is anybody's. Where that number went to
/// another process, as it does in a container, it gets this process's, which PostgreSQL knows to be its
/// parent. The rest of the file stays: by it PostgreSQL waits for what is left of the old instance.
void ManagedPostgres::State::correct_pid_file() const {
    std::vector<std::string> lines = pid_file_lines(data);
    if (lines.empty() || !fs::exists("/proc/" + lines[0])) return;
    lines[0] = std::to_string(getpid());
    std::string text;
    for (const std::string& line : lines)
        text += line + "\n";
    write_file(data / "postmaster.pid", text, user);
}

void ManagedPostgres::State::start() {
    adopted = false;
    choose_sockets();
    write_settings();
    correct_pid_file();
    fs::remove(startup_log);
    process = spawn({.arguments = {(settings.binaries / "postgres").string(), "-D", data.string()},
                     .user = user,
                     .output = startup_log,
                     .die_with_parent = settings.die_with_parent});
    is_child = true;
}

/// After an end during the start: whether it is worth another one.
bool ManagedPostgres::State::may_start_again() const {
    // Adopted while it was shutting down; or the old instance's last processes had not ended yet.
    return adopted || tail_of(startup_log).find("shared memory block") != std::string::npos;
}

void ManagedPostgres::State::wait_until_ready() {
    const auto start_of_wait = std::chrono::steady_clock::now();
    const auto limit = std::chrono::milliseconds(settings.ready_timeout.count);
    while (true) {
        const bool is_late = std::chrono::steady_clock::now() - start_of_wait > limit;
        if (is_child ? try_wait_for_child(process).has_value() : wait_for_end(process, Millis(0))) {
            process = 0;
            if (is_late || !may_start_again())
                throw std::runtime_error("PostgreSQL ended while it started:\n" + tail_of(startup_log));
            start();
        }
        try {
            Connection probe({.url = url_of("postgres", "postgres"), .application_name = "fallowd start"});
            return;
        } catch (const DatabaseError& error) {
            if (is_late)
                throw std::runtime_error(fmt::format("PostgreSQL was not ready within {} ms: {}\n{}",
                                                     settings.ready_timeout.count, error.what(),
                                                     tail_of(startup_log)));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(poll_interval.count));
    }
}

void ManagedPostgres::State::make_database() {
    Connection connection({.url = url_of("postgres", "postgres"), .application_name = "fallowd start"});
    if (connection.exec("SELECT FROM pg_database WHERE datname = 'fallow'").empty())
        connection.exec("CREATE DATABASE fallow");
}

std::string ManagedPostgres::State::url_of(const std::string& database, const std::string& role) const {
    return fmt::format("host={} port=5432 dbname={} user={}", quoted('\'', sockets.string()),
                       quoted('\'', database), quoted('\'', role));
}

ManagedPostgres::ManagedPostgres(ManagedPostgresSettings settings) : state_(std::make_unique<State>()) {
    state_->settings = std::move(settings);
    state_->prepare_folders();
    state_->take_lock();
    state_->initialize();
    if (!state_->adopt()) state_->start();
    try {
        state_->wait_until_ready();
        state_->make_database();
    } catch (...) {
        stop();
        throw;
    }
}

ManagedPostgres::~ManagedPostgres() {
    try {
        stop();
    } catch (const std::exception&) {
        // The data are safe whatever its end; the next start adopts or recovers.
    }
}

std::string ManagedPostgres::url_of(const std::string& database, const std::string& role) const {
    return state_->url_of(database, role);
}

bool ManagedPostgres::adopted() const {
    return state_->adopted;
}
int ManagedPostgres::process_id() const {
    return state_->process;
}

void ManagedPostgres::stop() {
    const pid_t process = std::exchange(state_->process, 0);
    if (process == 0) return;
    bool ended = false;
    for (const int signal : {SIGINT, SIGQUIT, SIGKILL}) {  // fast, immediate, and by force
        if (kill(process, signal) != 0 && errno != ESRCH) fail("cannot stop PostgreSQL");
        ended = wait_for_end(process, state_->settings.stop_timeout);
        if (ended) break;
    }
    if (ended && state_->is_child) static_cast<void>(wait_for_child(process));
}

}  // namespace fallow::store
