// Runs go-ethereum's tracers: the other side of tests/trace. Blocks come as JSON values on standard input; for each
// transaction a JSON line goes to standard output with what every tracer gave. `go build` needs a go.sum: `go mod tidy`.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"os"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/ethereum/go-ethereum/eth/tracers/logger"
	_ "github.com/ethereum/go-ethereum/eth/tracers/native"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/tests"
	"github.com/holiman/uint256"
)

// The keys of the official tests' sender, and of an account that delegates.
const (
	senderKey    = "45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8"
	authorityKey = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291"
)

type block struct {
	Name          string
	Fork          string // "mainnet", or as the official tests name it
	Number        math.HexOrDecimal64
	Time          math.HexOrDecimal64
	Miner         common.Address
	GasLimit      math.HexOrDecimal64
	Difficulty    *math.HexOrDecimal256
	Random        *common.Hash
	BaseFee       *math.HexOrDecimal256
	ExcessBlobGas *math.HexOrDecimal64
	BeaconRoot    *common.Hash
	ParentHash    common.Hash
	Hashes        map[math.HexOrDecimal64]common.Hash
	Alloc         types.GenesisAlloc
	Txs           []hexutil.Bytes
	Make          *unsigned
	Tracers       []request
}

// A transaction that is to be signed here.
type unsigned struct {
	To       *common.Address
	Data     hexutil.Bytes
	Value    *math.HexOrDecimal256
	Gas      math.HexOrDecimal64
	GasPrice *math.HexOrDecimal256
	Delegate []delegate
}

type delegate struct {
	Address common.Address
	Nonce   math.HexOrDecimal64
}

type request struct {
	Key    string
	Tracer string // "struct", or a name that geth knows
	Config json.RawMessage
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		one := new(block)
		if err := in.Decode(one); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		run(one, out)
	}
}

func run(in *block, out *json.Encoder) {
	config := params.MainnetChainConfig
	if in.Fork != "mainnet" {
		found, _, err := tests.GetChainConfig(in.Fork)
		if err != nil {
			log.Fatal(err)
		}
		config = found
	}
	pre := tests.MakePreState(rawdb.NewMemoryDatabase(), in.Alloc, false, rawdb.HashScheme)
	defer pre.Close()
	env := environment(in, config)
	evm := vm.NewEVM(env, pre.StateDB, config, vm.Config{})
	if in.BeaconRoot != nil {
		core.ProcessBeaconBlockRoot(*in.BeaconRoot, evm, nil)
	}
	if in.Fork == "mainnet" && config.IsPrague(env.BlockNumber, env.Time) {
		core.ProcessParentBlockHash(in.ParentHash, evm, nil)
	}
	signer := types.MakeSigner(config, env.BlockNumber, env.Time)
	if in.Make != nil {
		raw, err := in.Make.sign(config, signer)
		if err != nil {
			log.Fatal(in.Name, err)
		}
		in.Txs = append(in.Txs, raw)
	}
	for index, raw := range in.Txs {
		line := map[string]any{"name": in.Name, "index": index}
		if in.Make != nil {
			line["raw"] = raw
		}
		results, used, err := trace(in, config, env, signer, pre.StateDB, index, raw)
		if err != nil {
			line["failed"] = err.Error()
		} else {
			line["results"], line["gasUsed"] = results, used
		}
		if err := out.Encode(line); err != nil {
			log.Fatal(err)
		}
	}
}

func environment(in *block, config *params.ChainConfig) vm.BlockContext {
	env := vm.BlockContext{
		CanTransfer: core.CanTransfer,
		Transfer:    core.Transfer,
		Coinbase:    in.Miner,
		BlockNumber: new(big.Int).SetUint64(uint64(in.Number)),
		Time:        uint64(in.Time),
		GasLimit:    uint64(in.GasLimit),
		Difficulty:  new(big.Int),
		Random:      in.Random,
		GetHash:     func(number uint64) common.Hash { return in.Hashes[math.HexOrDecimal64(number)] },
	}
	if in.Difficulty != nil {
		env.Difficulty = (*big.Int)(in.Difficulty)
	}
	if in.BaseFee != nil {
		env.BaseFee = (*big.Int)(in.BaseFee)
	}
	if in.ExcessBlobGas != nil {
		excess := uint64(*in.ExcessBlobGas)
		header := &types.Header{Number: env.BlockNumber, Time: env.Time, ExcessBlobGas: &excess}
		env.BlobBaseFee = eip4844.CalcBlobFee(config, header)
	}
	return env
}

func (u *unsigned) sign(config *params.ChainConfig, signer types.Signer) ([]byte, error) {
	key, err := crypto.HexToECDSA(senderKey)
	if err != nil {
		return nil, err
	}
	var inner types.TxData = &types.LegacyTx{
		To: u.To, Data: u.Data, Value: (*big.Int)(u.Value), Gas: uint64(u.Gas), GasPrice: (*big.Int)(u.GasPrice),
	}
	if len(u.Delegate) > 0 {
		authority, err := crypto.HexToECDSA(authorityKey)
		if err != nil {
			return nil, err
		}
		var list []types.SetCodeAuthorization
		for _, one := range u.Delegate {
			made, err := types.SignSetCode(authority, types.SetCodeAuthorization{
				ChainID: *uint256.MustFromBig(config.ChainID), Address: one.Address, Nonce: uint64(one.Nonce),
			})
			if err != nil {
				return nil, err
			}
			list = append(list, made)
		}
		price := uint256.MustFromBig((*big.Int)(u.GasPrice))
		inner = &types.SetCodeTx{
			ChainID: uint256.MustFromBig(config.ChainID), To: *u.To, Data: u.Data, Gas: uint64(u.Gas), GasFeeCap: price,
			GasTipCap: new(uint256.Int), Value: uint256.MustFromBig((*big.Int)(u.Value)), AuthList: list,
		}
	}
	tx, err := types.SignNewTx(key, signer, inner)
	if err != nil {
		return nil, err
	}
	return tx.MarshalBinary()
}

func trace(
	in *block, config *params.ChainConfig, env vm.BlockContext, signer types.Signer, db *state.StateDB, index int, raw []byte,
) (map[string]json.RawMessage, uint64, error) {
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return nil, 0, err
	}
	message, err := core.TransactionToMessage(tx, signer, env.BaseFee)
	if err != nil {
		return nil, 0, err
	}
	results := map[string]json.RawMessage{}
	for _, wanted := range in.Tracers {
		tracer, err := wanted.tracer(config)
		if err != nil {
			return nil, 0, err
		}
		copied := db.Copy()
		if _, err := apply(copied, state.NewHookedState(copied, tracer.Hooks), tracer, config, env, message, tx, index); err != nil {
			return nil, 0, err
		}
		if results[wanted.Key], err = tracer.GetResult(); err != nil {
			return nil, 0, err
		}
	}
	used, err := apply(db, db, nil, config, env, message, tx, index)
	return results, used, err
}

func (r *request) tracer(config *params.ChainConfig) (*tracers.Tracer, error) {
	settings := r.Config
	if settings == nil {
		settings = json.RawMessage("{}")
	}
	if r.Tracer != "struct" {
		return tracers.DefaultDirectory.New(r.Tracer, new(tracers.Context), settings, config)
	}
	var parsed logger.Config
	if err := json.Unmarshal(settings, &parsed); err != nil {
		return nil, err
	}
	made := logger.NewStructLogger(&parsed)
	return &tracers.Tracer{Hooks: made.Hooks(), GetResult: made.GetResult, Stop: made.Stop}, nil
}

func apply(
	db *state.StateDB, hooked vm.StateDB, tracer *tracers.Tracer, config *params.ChainConfig, env vm.BlockContext,
	message *core.Message, tx *types.Transaction, index int,
) (uint64, error) {
	settings := vm.Config{}
	if tracer != nil {
		settings.Tracer = tracer.Hooks
	}
	db.SetTxContext(tx.Hash(), index, uint32(index+1))
	evm := vm.NewEVM(env, hooked, config, settings)
	pool := core.NewGasPool(message.GasLimit)
	receipt, _, err := core.ApplyTransactionWithEVM(
		context.Background(), message, pool, db, env.BlockNumber, common.Hash{}, env.Time, tx, evm)
	if err != nil {
		return 0, err
	}
	return receipt.GasUsed, nil
}
