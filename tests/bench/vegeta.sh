# vegeta as fast as it goes: URL, workers, seconds
echo "GET $1" | vegeta attack -rate 0 -workers "$2" -max-workers "$2" -duration "$3s" | vegeta report
