// modelfs-faulty: modelfs whose worker has fault points, steered through the file that
// MODELFS_FAULTS names (fault_board.h).
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "fs/cli/cli.h"
#include "fs/config.h"
#include "fs/daemon/launcher.h"
#include "tests/fault/fault_board.h"

int main(int argc, char** argv) {
  const modelfs::fs::ProcessEnvironment env;
  // As worker_process.cc starts it: `worker --broker-fd N`.
  if (argc == 4 && std::string_view(argv[1]) == "worker") {
    // Lives on when threads outlive main.
    static modelfs::test::FaultBoard board(env.Get("MODELFS_FAULTS").value_or(""));
    return modelfs::fs::RunWorker(std::atoi(argv[3]), &board);
  }
  modelfs::fs::Io io{.out = std::cout, .err = std::cerr};
  return modelfs::fs::Run(argc, argv, env, io);
}
