// What clang made of verify.cl for NVIDIA's cards: nothing is missing that the driver would have to find
// elsewhere, and the arithmetic that is timed is the fused one.
#include <catch2/catch.hpp>
#include <string>

namespace fallow::agent {
extern const char* const verify_ptx;
}

namespace {

const std::string ptx = fallow::agent::verify_ptx;

/// From its head to the brace that ends it.
std::string kernel(const std::string& name) {
    const auto start = ptx.find(".visible .entry " + name + "(");
    INFO(name);
    REQUIRE(start != std::string::npos);
    return ptx.substr(start, ptx.find("\n}", start) - start);
}

int count(const std::string& text, const std::string& what) {
    int found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        ++found;
    return found;
}

}  // namespace

TEST_CASE("the PTX has every kernel, and calls nothing that is not in it") {
    for (const char* name : {"fill", "check", "wipe", "copy", "multiply", "multiply_half"})
        CHECK(count(kernel(name), "call") == 0);
    CHECK(count(ptx, ".extern") == 0);
    CHECK(count(ptx, ".target sm_60") == 1);
}

TEST_CASE("what is timed are fused multiply-adds, thirty-two in a round, and halves go two by two") {
    CHECK(count(kernel("multiply"), "fma.rn.f32") >= 32);
    CHECK(count(kernel("multiply"), "mul.rn.f32") == 1);  // before the rounds
    CHECK(count(kernel("multiply_half"), "fma.rn.f16x2") >= 16);
    CHECK(count(kernel("multiply_half"), "fma.rn.f16 ") == 0);
    CHECK(count(kernel("multiply_half"), "fma.rn.f32") == 0);
}

TEST_CASE("memory is reached as global memory, and wrong words are counted by all threads together") {
    for (const char* name : {"fill", "wipe"})
        CHECK(count(kernel(name), "st.global.u64") == 1);
    CHECK(count(kernel("check"), "ld.global.u64") == 1);
    const std::string check = kernel("check");
    CHECK(count(check, "atom.global.add.u32") + count(check, "red.global.add.u32") == 1);
    CHECK(count(kernel("copy"), "ld.global.v4.u32") == 1);
    CHECK(count(kernel("copy"), "st.global.v4.u32") == 1);
}
