// Images that were pulled with a login, in a real engine: nobody gets one because it happens to be here.
#include <algorithm>

#include "agent/container_runtime.hpp"
#include "agent/registry_login.hpp"
#include "guest_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

/// An image of the host's own, which no other test uses.
std::string make_image(const std::string& name) {
    run_script(fallow::testing::source_dir() + "/tests/support/make_image.sh " + name + " " +
               PodmanService::instance().folder().string() + " >/dev/null");
    return name;
}

std::shared_ptr<PrivateImages> fresh_record() {
    static int count = 0;
    return std::make_shared<PrivateImages>(PodmanService::instance().folder() /
                                           ("private-images-" + std::to_string(++count)));
}

ContainerRuntime an_agent(const std::shared_ptr<PrivateImages>& images) {
    return {PodmanService::instance().socket(), EngineFlavour::podman, host_facts(), nullptr, images};
}

std::string bare_id(const ImageFacts& image) {
    return image.id.substr(image.id.find(':') + 1);
}

}  // namespace

TEST_CASE("an image that is marked as private is asked for at its registry, whoever the agent is") {
    const std::string name = make_image("localhost/fallow-marked:1");
    ContainerRuntime agent = an_agent(fresh_record());
    const ImageFacts image = agent.obtain_image(name, {});
    CHECK(std::ranges::find(image.names, name) != image.names.end());
    Engine engine(PodmanService::instance().socket());
    engine.name_image(bare_id(image), "localhost/fallow-private", bare_id(image));
    // Its registry would be at this machine's port 443, where nothing listens.
    CHECK_THROWS_AS(static_cast<void>(agent.obtain_image(name, {})), ImageError);
    ContainerRuntime other = an_agent(nullptr);
    CHECK_THROWS_AS(static_cast<void>(other.obtain_image(name, {})), ImageError);
    const std::string mark = "localhost/fallow-private:" + bare_id(image);
    CHECK_THROWS_AS(static_cast<void>(other.obtain_image(mark, {})), ImageError);
    CHECK_NOTHROW(static_cast<void>(agent.obtain_image(test_image, {})));
}

TEST_CASE("an image of a repository that a pull with a login may have brought is asked for as well") {
    const std::string name = make_image("localhost/fallow-unmarked:1");
    const auto images = fresh_record();
    ContainerRuntime agent = an_agent(images);
    CHECK_NOTHROW(static_cast<void>(agent.obtain_image(name, {})));
    images->begin("localhost/fallow-unmarked");
    CHECK_THROWS_AS(static_cast<void>(agent.obtain_image(name, {})), ImageError);
    images->end("localhost/fallow-unmarked", false);
    CHECK_NOTHROW(static_cast<void>(agent.obtain_image(name, {})));
}

TEST_CASE("an id of this engine is no name of an image") {
    ContainerRuntime agent = an_agent(fresh_record());
    const std::string id = bare_id(agent.obtain_image(test_image, {}));
    for (const std::string& reference : {id, id.substr(0, 12), "sha256:" + id})
        CHECK_THROWS_AS(static_cast<void>(agent.obtain_image(reference, {})), ImageError);
}

TEST_CASE("a pull with a login that brings nothing makes nothing private") {
    const auto images = fresh_record();
    ContainerRuntime agent = an_agent(images);
    const std::string auth = registry_auth("user:password", "127.0.0.1:1").value();
    CHECK_THROWS_AS(static_cast<void>(agent.obtain_private_image("127.0.0.1:1/nothing:1", auth, {})),
                    ImageError);
    CHECK_FALSE(images->holds("127.0.0.1:1/nothing"));
    CHECK_THROWS_AS(
        static_cast<void>(an_agent(nullptr).obtain_private_image("127.0.0.1:1/nothing:1", auth, {})),
        ImageError);
}
