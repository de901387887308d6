// What is kept of images, beside a real engine that changes them.
#include "agent/image_book.hpp"

#include "agent/container_runtime.hpp"
#include "guest_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

class Asked {
  public:
    explicit Asked(const std::string& images_file) : book_(images_file) {}
    std::optional<ImageFacts> find(const std::string& reference) {
        return book_.find(reference, [&] {
            ++times;
            return engine.find_image(reference);
        });
    }
    Engine engine{PodmanService::instance().socket()};
    int times = 0;

  private:
    ImageBook book_;
};

}  // namespace

TEST_CASE("an engine that has not changed any image is asked once for each") {
    Asked asked(Engine(PodmanService::instance().socket()).facts().images_file);
    const auto first = asked.find(test_image);
    REQUIRE(first);
    CHECK(asked.times == 1);
    const auto again = asked.find(test_image);
    REQUIRE(again);
    CHECK(again->id == first->id);
    CHECK(again->names == first->names);
    CHECK(asked.times == 1);

    const std::string id = first->id.substr(first->id.find(':') + 1);
    asked.engine.name_image(id, "localhost/fallow-renamed", "1");
    const auto renamed = asked.find(test_image);
    REQUIRE(renamed);
    CHECK(asked.times == 2);
    CHECK(std::ranges::find(renamed->names, "localhost/fallow-renamed:1") != renamed->names.end());
}

TEST_CASE(
    "that an image is not there is asked each time, and so is all where the engine's file is not known") {
    Asked asked(Engine(PodmanService::instance().socket()).facts().images_file);
    CHECK_FALSE(asked.find("localhost/fallow-never:1"));
    CHECK_FALSE(asked.find("localhost/fallow-never:1"));
    CHECK(asked.times == 2);
    for (const char* file : {"", "/nowhere/images.json"}) {
        Asked always(file);
        CHECK(always.find(test_image));
        CHECK(always.find(test_image));
        CHECK(always.times == 2);
    }
}
