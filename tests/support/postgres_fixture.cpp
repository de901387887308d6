#include "support/postgres_fixture.hpp"

#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "store/connection.hpp"
#include "store/migrate.hpp"

namespace fallow::test {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view login = "user='fallow'";
constexpr std::string_view superuser = "user='postgres'";

std::string make_folder() {
    std::string pattern = (fs::temp_directory_path() / "fallow-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    return pattern;
}

}  // namespace

PostgresFixture& PostgresFixture::instance() {
    static PostgresFixture fixture;
    return fixture;
}

PostgresFixture::PostgresFixture() : folder_(make_folder()) {
    postgres_ = std::make_unique<store::ManagedPostgres>(store::ManagedPostgresSettings{
        .directory = folder_ + "/postgres", .durable = false, .die_with_parent = true});
    store::Connection connection({.url = postgres_->url_of("postgres", "postgres")});
    connection.exec("CREATE DATABASE template_fallow");
    static_cast<void>(store::migrate(postgres_->url_of("template_fallow", "postgres")));
}

PostgresFixture::~PostgresFixture() {
    postgres_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

std::string PostgresFixture::create_database(const std::string& options) {
    const std::string name = "test_" + std::to_string(++databases_);
    store::Connection connection({.url = postgres_->url_of("postgres", "postgres")});
    connection.exec("CREATE DATABASE " + name + " " + options);
    return name;
}

std::string PostgresFixture::fresh_database() {
    return postgres_->url_of(create_database("TEMPLATE template_fallow"), "fallow");
}

std::string PostgresFixture::empty_database() {
    return postgres_->url_of(create_database(""), "postgres");
}

std::string PostgresFixture::as_superuser(const std::string& url) {
    std::string result = url;
    const auto at = result.find(login);
    if (at == std::string::npos) throw std::runtime_error("not a connection string of this fixture");
    return result.replace(at, login.size(), superuser);
}

}  // namespace fallow::test

/// Read by LeakSanitizer, where a build has it: libpqxx 6.4 drops a result when the session breaks while it
/// asks the session for its encoding, once for each broken session.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libpqxx-6.4.so";
}
