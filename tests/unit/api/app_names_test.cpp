// The names of ports of jobs, and the passes that let a browser in at one.
#include "api/app_names.hpp"

#include <catch2/catch.hpp>

using namespace fallow;
using namespace fallow::api;

namespace {

constexpr auto domain = "apps.example.org";
constexpr auto id = "06zk3v8m2q9xw4t7r1n5p0d8ce";
const std::string secret(32, 's');

std::optional<AppName> parsed(const std::string& host) {
    return parse_app_name(host, domain);
}

http::Request with(http::Fields headers) {
    http::Request request;
    request.headers = std::move(headers);
    return request;
}

}  // namespace

TEST_CASE("a name is a port and a job") {
    const AppName name{JobId::parse(std::string("job_") + id).value(), 8888};
    const std::string host = app_host(name, domain);
    CHECK(host == std::string("8888-") + id + ".apps.example.org");
    CHECK(parsed(host) == name);
    CHECK(parsed(host + ":8443") == name);
    CHECK(parsed(host + ".") == name);
    CHECK(parsed("8888-06ZK3V8M2Q9XW4T7R1N5P0D8CE.Apps.Example.ORG") == name);
}

TEST_CASE("what is below the domain and no name is still not the API's") {
    for (const char* label : {"0", "08888", "65536", "-1", "99999999999999999999", "", "88x"}) {
        const std::string host = std::string(label) + "-" + id + ".apps.example.org";
        INFO(host);
        CHECK_FALSE(parsed(host));
        CHECK(is_app_host(host, domain));
    }
    for (const char* host : {"apps.example.org", "x.apps.example.org", "8888-06zk.apps.example.org"}) {
        CHECK_FALSE(parsed(host));
        CHECK(is_app_host(host, domain));
    }
    for (const char* host : {"example.org", "xapps.example.org", "127.0.0.1:8443", "[::1]:8443", "peer"}) {
        INFO(host);
        CHECK_FALSE(is_app_host(host, domain));
        CHECK_FALSE(is_app_host(host, ""));
    }
    CHECK_FALSE(parsed(std::string("8888-") + id + ".x.apps.example.org"));
}

TEST_CASE("a pass is good for its kind, job, port and time alone") {
    const AppName name{JobId::parse(std::string("job_") + id).value(), 8888};
    const AppName port{name.job, 8889};
    const AppName job{JobId::parse("job_06zk3v8m2q9xw4t7r1n5p0d8cf").value(), 8888};
    const AppGrant grant{std::string(32, 'k'), Time(1000)};
    const std::string pass = make_app_pass(secret, AppPass::link, name, grant);
    const auto opened = open_app_pass(secret, AppPass::link, name, pass, Time(999));
    REQUIRE(opened);
    CHECK((opened->key_hash == grant.key_hash && opened->ends_at == grant.ends_at));
    CHECK_FALSE(open_app_pass(secret, AppPass::link, name, pass, Time(1000)));
    CHECK_FALSE(open_app_pass(secret, AppPass::session, name, pass, Time(1)));
    CHECK_FALSE(open_app_pass(secret, AppPass::link, port, pass, Time(1)));
    CHECK_FALSE(open_app_pass(secret, AppPass::link, job, pass, Time(1)));
    CHECK_FALSE(open_app_pass("another", AppPass::link, name, pass, Time(1)));
    for (std::size_t i = 0; i < pass.size(); ++i) {
        std::string changed = pass;
        changed[i] = changed[i] == '1' ? '2' : '1';
        CHECK_FALSE(open_app_pass(secret, AppPass::link, name, changed, Time(1)));
    }
    for (const char* text : {"", ".", "..", "a.b.c", "00.1.00"})
        CHECK_FALSE(open_app_pass(secret, AppPass::link, name, text, Time(1)));
}

TEST_CASE("the cookie that signs in is taken out of the others") {
    const AppCookies cookies =
        split_cookies(with({{"cookie", "a=b; __Host-fallow_app=pass;c=d=e"}, {"cookie", "f=g; "}}));
    CHECK(cookies.pass == "pass");
    CHECK(cookies.others == "a=b; c=d=e; f=g");
    CHECK(split_cookies(with({{"cookie", "__Host-fallow_app=x"}})).others.empty());
    CHECK_FALSE(split_cookies(with({{"cookie", "__Host-fallow_apps=x"}})).pass);
}

TEST_CASE("another name's page is not let in by the cookie") {
    const auto asked = [](http::Fields fields) {
        fields.emplace_back("host", "x.apps.example.org:8443");
        return is_cross_origin(with(std::move(fields)));
    };
    CHECK_FALSE(asked({}));
    CHECK_FALSE(asked({{"origin", "https://x.apps.example.org:8443"}}));
    CHECK(asked({{"origin", "https://y.apps.example.org:8443"}}));
    CHECK(asked({{"origin", "null"}}));
    CHECK_FALSE(asked({{"sec-fetch-site", "same-origin"}}));
    CHECK(asked({{"sec-fetch-site", "same-site"}, {"sec-fetch-mode", "no-cors"}}));
    CHECK_FALSE(asked({{"sec-fetch-site", "cross-site"},
                       {"sec-fetch-mode", "navigate"},
                       {"sec-fetch-dest", "document"}}));
    CHECK(asked(
        {{"sec-fetch-site", "same-site"}, {"sec-fetch-mode", "navigate"}, {"sec-fetch-dest", "iframe"}}));
}
