// Secrets under keys of their own, those under the servers' key: what opens, what does not, and how the
// servers' key is changed.
#include "auth/vault.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "auth/files.hpp"
#include "unit/auth/temporary_folder.hpp"

using namespace fallow::auth;

TEST_CASE("a secret opens for what it was sealed for, and for nothing else", "[vault]") {
    const TemporaryFolder folder;
    const Vault vault(folder.path() / "secrets.key");
    const std::string text("a\0secret\n", 9);
    const SealedSecret sealed = vault.seal(text, "org\nid\nname\n1");
    CHECK(vault.open(sealed, "org\nid\nname\n1") == text);
    CHECK_FALSE(vault.open(sealed, "org\nid\nname\n2"));
    CHECK_FALSE(vault.open(sealed, "other\nid\nname\n1"));
    CHECK(sealed.sealed.find("secret") == std::string::npos);
    CHECK(sealed.wrapped_key.size() == 60);
    CHECK(sealed.sealed.size() == 28 + text.size());

    const SealedSecret again = vault.seal(text, "org\nid\nname\n1");
    CHECK(again.sealed != sealed.sealed);
    CHECK(again.wrapped_key != sealed.wrapped_key);
    SealedSecret mixed = sealed;
    mixed.sealed = again.sealed;
    CHECK_FALSE(vault.open(mixed, "org\nid\nname\n1"));
    for (std::string SealedSecret::*part : {&SealedSecret::sealed, &SealedSecret::wrapped_key}) {
        SealedSecret altered = sealed;
        (altered.*part).back() = static_cast<char>((altered.*part).back() ^ 1);
        CHECK_FALSE(vault.open(altered, "org\nid\nname\n1"));
        (altered.*part).resize(10);
        CHECK_FALSE(vault.open(altered, "org\nid\nname\n1"));
    }
}

TEST_CASE("the servers' key is changed without a secret being sealed anew", "[vault]") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "secrets.key";
    const Vault before(file);
    const SealedSecret old = before.seal("text", "x");
    Vault::add_key(file);
    const Vault after(file);
    CHECK(after.current_key() != before.current_key());
    CHECK(after.open(old, "x") == "text");
    const auto fresh = after.rewrap(old, "x");
    REQUIRE(fresh);
    CHECK(fresh->key_id == after.current_key());
    CHECK(fresh->sealed == old.sealed);
    CHECK(after.open(*fresh, "x") == "text");
    CHECK_FALSE(after.rewrap(old, "y"));
    // A server that runs since before opens with the new key, too, and seals as it did.
    CHECK(before.open(*fresh, "x") == "text");
    CHECK(before.seal("text", "x").key_id == old.key_id);
    CHECK_FALSE(before.has_key("0123456789abcdef"));
}

TEST_CASE("a key file that others can read, or that holds no keys, is refused", "[vault]") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "secrets.key";
    { const Vault made(file); }
    struct stat facts {};
    REQUIRE(::stat(file.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
    REQUIRE(::chmod(file.c_str(), 0644) == 0);
    CHECK_THROWS_WITH(Vault(file), Catch::Contains("chmod 600"));
    write_file(file, "bm90IGEga2V5\n", private_mode);
    CHECK_THROWS_WITH(Vault(file), Catch::Contains("32 octets"));
    write_file(file, "\n", private_mode);
    CHECK_THROWS_WITH(Vault(file), Catch::Contains("holds no key"));
}
