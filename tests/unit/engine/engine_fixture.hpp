// An engine over a scripted database.
#pragma once

#include "fake_database.hpp"
#include "support/engine_under_test.hpp"

namespace fallow::testing {

class EngineFixture : public EngineUnderTest {
  public:
    explicit EngineFixture(const MemoryDatabase& rows = MemoryDatabase())
        : database(rows), store_(database), beat_store_(database) {}
    ~EngineFixture() {
        database.release();
        stop();
    }

    void start() { EngineUnderTest::start(store_, beat_store_); }
    /// Names of the organizations in the database, in the order of the journal.
    [[nodiscard]] std::string created() const {
        std::string names;
        for (const engine::JournalRecord& record : database.journal()) {
            std::string_view text = record.record;
            for (auto at = text.find("\"name\":\""); at != std::string_view::npos;
                 at = text.find("\"name\":\"")) {
                text.remove_prefix(at + 8);
                names += std::string(text.substr(0, text.find('"'))) + ' ';
            }
        }
        return names;
    }

    FakeDatabase database;

  private:
    FakeStore store_;
    FakeStore beat_store_;
};

}  // namespace fallow::testing
