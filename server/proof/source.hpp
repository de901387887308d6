// Reads the rows, all in one snapshot. Long tables come in pieces, so that memory does not grow with
// history.
#pragma once

#include <memory>
#include <string>

#include "model.hpp"

namespace fallow_proof {

class Source {
  public:
    /// Connects, and begins a read-only transaction as role fallow_proof. Throws std::exception.
    explicit Source(const std::string& url);
    ~Source();

    /// Accounts, leases with their usage and receipts, and the heads of the journal's streams.
    [[nodiscard]] Ledger read_ledger();
    void each_transfer(const std::function<void(const Transfer&)>& visit);
    /// By stream, then sequence; `computed` starts from the stream's anchor.
    void each_journal_row(const std::function<void(const JournalRow&)>& visit);

  private:
    struct Session;
    std::unique_ptr<Session> session_;
};

}  // namespace fallow_proof
