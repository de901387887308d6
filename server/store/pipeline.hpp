// A session of its own for the write path: any number of prepared statements travel in one round trip,
// where libpqxx 6 makes one each. It speaks to libpq, which libpqxx itself stands on. Used by one thread at
// a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "store/connection.hpp"

struct pg_conn;

namespace fallow::store {

class Pipeline {
  public:
    /// Throws DatabaseError (connection) when the database is out of reach.
    explicit Pipeline(ConnectionSettings settings);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// One statement for the next flush(), prepared under `name` at its first use in this session.
    void queue(const std::string& name, const std::string& sql, const BinaryParameters& parameters);
    /// One that is not worth preparing.
    void queue(const std::string& sql);
    /// Sends what was queued and waits for the answers: the rows each statement affected. Throws
    /// DatabaseError for the first that failed; those after it were not run. `with_commit`: the last one is
    /// a COMMIT, and Fault::in_doubt tells that the session broke without an answer that says more.
    std::vector<std::size_t> flush(bool with_commit = false);

    [[nodiscard]] bool is_broken() const { return broken_; }
    void mark_broken() { broken_ = true; }
    /// A new session with the same settings; throws like the constructor.
    void reconnect();

  private:
    struct Closer {
        void operator()(pg_conn* session) const;
    };

    void open();
    void require(bool sent);
    [[noreturn]] void fail_broken(Fault fault = Fault::connection);

    ConnectionSettings settings_;
    std::unique_ptr<pg_conn, Closer> session_;
    std::unordered_set<std::string> prepared_;
    /// Each message that waits for its answer: the name it prepares, or empty where it runs a statement.
    std::vector<std::string> queued_;
    bool broken_ = true;
};

/// BEGIN … COMMIT through a Pipeline. What is open at the end of its life is rolled back.
class PipelinedTransaction {
  public:
    explicit PipelinedTransaction(Pipeline& pipeline);
    ~PipelinedTransaction();
    PipelinedTransaction(const PipelinedTransaction&) = delete;
    PipelinedTransaction& operator=(const PipelinedTransaction&) = delete;

    void queue(const std::string& name, const std::string& sql, const BinaryParameters& parameters) {
        pipeline_.queue(name, sql, parameters);
    }
    /// Runs what was queued since the start: the rows each statement affected.
    std::vector<std::size_t> run();
    /// Throws DatabaseError with Fault::in_doubt when the session breaks while it waits for the answer.
    void commit();
    /// Both in one round trip, for statements of which none can reach fewer rows than it should.
    std::vector<std::size_t> run_and_commit();

  private:
    Pipeline& pipeline_;
    bool open_ = true;
};

}  // namespace fallow::store
